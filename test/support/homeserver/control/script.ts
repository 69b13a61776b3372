import { type EventDraft, type Oddity, stateKeyOf } from "../event.ts";
import { json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { type JsonObject, numberOr, objectOr, objects, stringOr } from "../json.ts";
import type { Room } from "../room.ts";
import type { World } from "../world.ts";

/** What only a federation, a state resolution or an administrator brings about. */
export function addScriptRoutes(router: Router, world: World): void {
  router.open("POST", "/_control/events", ({ body }) => {
    const room = world.room(stringOr(body.roomId, ""));
    return json({ event_id: world.append(room, draftOf(body)).eventId });
  });
  router.open("POST", "/_control/gap", ({ body }) => {
    const room = world.room(stringOr(body.roomId, ""));
    room.gaps.push(room.lastStream);
    return json({});
  });
  router.open("POST", "/_control/state-reset", ({ body }) => {
    resetState(world, body);
    return json({});
  });
  router.open("POST", "/_control/unknown-version", ({ body }) => {
    world.room(stringOr(body.roomId, "")).forgetVersion();
    return json({});
  });
  router.open("POST", "/_control/remote-room", ({ body }) => json({ room_id: remoteRoom(world, body) }));
  router.open("POST", "/_control/remote-invite", ({ body }) => json({ room_id: remoteInvite(world, body) }));
  router.open("POST", "/_control/remote-retract", ({ body }) => {
    const room = world.room(stringOr(body.roomId, ""));
    const [sender, stateKey] = [stringOr(body.sender, ""), stringOr(body.userId, "")];
    const content = { membership: "leave" };
    world.append(room, { type: "m.room.member", sender, stateKey, content, oddity: { outlier: true } });
    return json({});
  });
}

function draftOf(body: JsonObject): EventDraft {
  const oddity: Oddity = {
    forked: body.forked === true,
    loses: body.loses === true,
    withheld: body.softFailed === true,
  };
  return {
    type: stringOr(body.type, "m.room.message"),
    sender: stringOr(body.sender, ""),
    content: objectOr(body.content),
    stateKey: stringOr(body.stateKey, undefined),
    eventId: stringOr(body.eventId, undefined),
    originServerTs: numberOr(body.originServerTs, undefined),
    depth: numberOr(body.depth, undefined),
    redacts: stringOr(body.redacts, undefined),
    oddity,
  };
}

/**
 * Current state that changes without an event: an entry goes, or an older event of it is current again. A user whose
 * own membership goes is no longer in the room and is told nothing.
 */
function resetState(world: World, body: JsonObject): void {
  const room = world.room(stringOr(body.roomId, ""));
  const [type, stateKey] = [stringOr(body.type, ""), stringOr(body.stateKey, "")];
  const event = world.events.get(stringOr(body.eventId, ""));
  world.streams.room += 1;
  room.changeState(stateKeyOf(type, stateKey), event, world.streams.room);
  const user = type === "m.room.member" ? world.users.get(stateKey) : undefined;
  if (user !== undefined && event === undefined) user.memberships.delete(room.id);
  world.wakeRoom(room);
}

/** What this server has of a room of others: what it read of the past, and state that it was told with a join or later. */
function remoteRoom(world: World, body: JsonObject): string {
  const room = roomOfOthers(world, body);
  world.backfill(room, objects(body.history).map(draftOf));
  for (const event of objects(body.state)) world.learnState(room, draftOf(event));
  return room.id;
}

function roomOfOthers(world: World, body: JsonObject): Room {
  const roomId = stringOr(body.roomId, world.ids.room("remote.example"));
  return world.rooms.get(roomId) ?? world.addRoom(roomId, world.profile.defaultRoomVersion);
}

/** An invite to a room that this server is not in: all it has is what the inviting server sent along. */
function remoteInvite(world: World, body: JsonObject): string {
  const room = roomOfOthers(world, body);
  const oddity: Oddity = { outlier: true, strippedState: objects(body.strippedState) };
  const [sender, stateKey] = [stringOr(body.sender, "@inviter:remote.example"), stringOr(body.userId, "")];
  const content = { membership: "invite", ...objectOr(body.content) };
  world.append(room, { type: "m.room.member", sender, stateKey, content, oddity });
  return room.id;
}
