import { addReceipt, createTypingClock } from "../ephemeral.ts";
import { type AuthedCall, json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { isObject, type JsonObject, numberOr, objectOr, stringOr } from "../json.ts";
import { forbidden, MatrixError, notFound } from "../matrix-error.ts";
import { requireJoined } from "../membership.ts";
import type { Room } from "../room.ts";
import { checkFilter } from "../sync/filter.ts";
import type { User } from "../user.ts";
import { sendToDevices, setAccountData, setRoomAccountData, setTags } from "../user-data.ts";
import type { World } from "../world.ts";

/** Synapse lets nobody set these by the account-data routes. */
const RESERVED_TYPES: Readonly<Record<string, string>> = {
  "m.push_rules": "/pushrules",
  "m.fully_read": "/rooms/!roomId:server.name/read_markers",
};

export function addUserDataRoutes(router: Router, world: World): void {
  router.authed("GET", "/client/user/:user/account_data/:type", (call) => {
    const entry = own(call).accountData.get(call.params.type ?? "");
    if (entry === undefined) throw notFound("Account data not found");
    return json(entry.content);
  });
  router.authed("PUT", "/client/user/:user/account_data/:type", (call) => {
    setAccountData(world, own(call), writableType(call), call.body);
    return json({});
  });
  router.authed("GET", "/client/user/:user/rooms/:room/account_data/:type", (call) => {
    const entry = own(call)
      .roomAccountData.get(call.params.room ?? "")
      ?.get(call.params.type ?? "");
    if (entry === undefined) throw notFound("Room account data not found");
    return json(entry.content);
  });
  router.authed("PUT", "/client/user/:user/rooms/:room/account_data/:type", (call) => {
    setRoomAccountData(world, own(call), call.params.room ?? "", writableType(call), call.body);
    return json({});
  });
  router.authed("GET", "/client/user/:user/rooms/:room/tags", (call) => json({ tags: tagsOf(call) }));
  router.authed("PUT", "/client/user/:user/rooms/:room/tags/:tag", (call) => {
    setTags(world, own(call), call.params.room ?? "", { ...tagsOf(call), [call.params.tag ?? ""]: call.body });
    return json({});
  });
  router.authed("DELETE", "/client/user/:user/rooms/:room/tags/:tag", (call) => {
    const { [call.params.tag ?? ""]: _removed, ...left } = tagsOf(call);
    setTags(world, own(call), call.params.room ?? "", left);
    return json({});
  });
  router.authed("POST", "/client/user/:user/filter", (call) => {
    checkFilter(call.body);
    return json({ filter_id: String(own(call).filters.push(call.body) - 1) });
  });
  router.authed("GET", "/client/user/:user/filter/:filter", (call) => {
    const filter = own(call).filters[Number(call.params.filter)];
    if (filter === undefined) throw notFound("No such filter");
    return json(filter);
  });
  addReadMarkerRoutes(router, world);
  addTypingRoutes(router, world);
  router.authed("PUT", "/client/sendToDevice/:type/:txn", (call) => {
    if (!isObject(call.body.messages)) throw new MatrixError(400, "M_MISSING_PARAM", "Missing params: ['messages']");
    if (!call.device.transactions.has(call.path)) {
      const messages = new Map(Object.entries(call.body.messages).map(([userId, value]) => [userId, objectOr(value)]));
      sendToDevices(world, call.device.user, call.params.type ?? "", messages);
    }
    call.device.transactions.set(call.path, {});
    return json({});
  });
  router.authed("PUT", "/client/presence/:user/status", () => json({}));
}

function addReadMarkerRoutes(router: Router, world: World): void {
  const mark = (room: Room, user: User, type: string, eventId: string, threadId?: string) => {
    if (type === "m.fully_read") setRoomAccountData(world, user, room.id, type, { event_id: eventId });
    else addReceipt(world, room, user, type, eventId, threadId);
  };
  router.authed("POST", "/client/rooms/:room/receipt/:type/:event", (call) => {
    const { type = "", event = "" } = call.params;
    // Synapse takes receipts from whoever sends them.
    mark(world.room(call.params.room ?? ""), call.device.user, type, event, stringOr(call.body.thread_id, undefined));
    return json({});
  });
  router.authed("POST", "/client/rooms/:room/read_markers", (call) => {
    const room = joined(world, call);
    for (const type of ["m.read", "m.read.private", "m.fully_read"]) {
      const eventId = call.body[type];
      if (typeof eventId === "string") mark(room, call.device.user, type, eventId);
    }
    return json({});
  });
}

function addTypingRoutes(router: Router, world: World): void {
  const typing = createTypingClock(world);
  router.authed("PUT", "/client/rooms/:room/typing/:user", (call) => {
    const { user } = call.device;
    if (call.params.user !== user.userId) {
      throw new MatrixError(400, "M_FORBIDDEN", "Cannot set another user's typing state");
    }
    typing.set(joined(world, call), user.userId, call.body.typing === true, numberOr(call.body.timeout, 30_000));
    return json({});
  });
}

function own({ device, params, method }: AuthedCall): User {
  if (params.user !== device.user.userId) {
    throw forbidden(`Cannot ${method === "GET" ? "get" : "add"} account data for other users.`);
  }
  return device.user;
}

function tagsOf(call: AuthedCall): JsonObject {
  return own(call).tags.get(call.params.room ?? "")?.tags ?? {};
}

function writableType({ params }: AuthedCall): string {
  const { type = "" } = params;
  const instead = RESERVED_TYPES[type];
  if (instead === undefined) return type;
  throw new MatrixError(405, "M_BAD_JSON", `Cannot set ${type} through this API. Use ${instead}`);
}

function joined(world: World, { device, params }: AuthedCall): Room {
  const room = world.rooms.get(params.room ?? "");
  if (room === undefined) throw forbidden(`User ${device.user.userId} not in room ${params.room}`);
  requireJoined(room, device.user.userId);
  return room;
}
