import { createRoom } from "../create-room.ts";
import { type AuthedCall, json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { stringOr } from "../json.ts";
import { forbidden, MatrixError, notFound } from "../matrix-error.ts";
import { expel, invite, join, knock, leave, type MembershipExtras } from "../membership.ts";
import type { World } from "../world.ts";

export function addMembershipRoutes(router: Router, world: World): void {
  router.authed("POST", "/client/createRoom", ({ device, body }) =>
    json({ room_id: createRoom(world, device.user, body).id }),
  );
  const joinAny = (call: AuthedCall) => {
    const room = world.rooms.get(resolve(world, call));
    if (room === undefined) throw noServers();
    join(world, room, call.device.user, extras(call));
    return json({ room_id: room.id });
  };
  router.authed("POST", "/client/join/:room", joinAny);
  router.authed("POST", "/client/rooms/:room/join", joinAny);
  router.authed("POST", "/client/knock/:room", (call) => {
    const room = world.room(resolve(world, call));
    knock(world, room, call.device.user, extras(call));
    return json({ room_id: room.id });
  });
  router.authed("POST", "/client/rooms/:room/leave", (call) => {
    leave(world, call.params.room ?? "", call.device.user, extras(call));
    return json({});
  });
  router.authed("POST", "/client/rooms/:room/forget", ({ device, params }) => {
    forget(world, device.user.userId, params.room ?? "");
    return json({});
  });
  router.authed("POST", "/client/rooms/:room/invite", (call) => {
    invite(world, roomOf(world, call), call.device.user, target(call), extras(call));
    return json({});
  });
  for (const change of ["kick", "ban", "unban"] as const) {
    router.authed("POST", `/client/rooms/:room/${change}`, (call) => {
      expel(world, roomOf(world, call), call.device.user, target(call), change, extras(call));
      return json({});
    });
  }
  router.authed("GET", "/client/joined_rooms", ({ device }) => json({ joined_rooms: device.user.joinedRooms() }));
}

function roomOf(world: World, { device, params }: AuthedCall) {
  const room = world.rooms.get(params.room ?? "");
  if (room === undefined) throw forbidden(`User ${device.user.userId} not in room ${params.room}`);
  return room;
}

function noServers(): MatrixError {
  const error = "Can't join remote room because no servers that are in the room have been provided.";
  return new MatrixError(404, "M_UNKNOWN", error);
}

function resolve(world: World, { params }: AuthedCall): string {
  const name = params.room ?? "";
  if (!name.startsWith("#")) return name;
  const roomId = world.aliases.get(name);
  if (roomId === undefined) throw notFound(`Room alias ${name} not found`);
  return roomId;
}

function target({ body }: AuthedCall): string {
  const userId = stringOr(body.user_id, undefined);
  if (userId === undefined) throw new MatrixError(400, "M_MISSING_PARAM", "Missing params: ['user_id']");
  return userId;
}

function extras({ body }: AuthedCall): MembershipExtras {
  return { reason: stringOr(body.reason, undefined) };
}

function forget(world: World, userId: string, roomId: string): void {
  const user = world.users.get(userId);
  const own = user?.memberships.get(roomId);
  if (user === undefined || own === undefined) return;
  if (own.membership !== "leave" && own.membership !== "ban") {
    throw new MatrixError(400, "M_UNKNOWN", `User ${userId} in room ${roomId}`);
  }
  user.memberships.set(roomId, { ...own, forgotten: true });
}
