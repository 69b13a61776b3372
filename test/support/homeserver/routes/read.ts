import type { StoredEvent } from "../event.ts";
import { type AuthedCall, json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import type { JsonObject } from "../json.ts";
import { forbidden, type MatrixError, notFound } from "../matrix-error.ts";
import { relationTypeOf } from "../relation.ts";
import { relationsFor, withBundles } from "../relations.ts";
import type { Room } from "../room.ts";
import { type SerializeOptions, serialize } from "../serialize.ts";
import { type Shown, shownAs } from "../shown.ts";
import { type Reader, shownTo } from "../visibility.ts";
import type { World } from "../world.ts";

export function addReadRoutes(router: Router, world: World): void {
  router.authed("GET", "/client/rooms/:room/state", (call) => {
    const { room, upto } = stateReadable(world, call);
    return json([...room.fullStateAt(upto).values()].map((event) => stateJson(world, call, event)));
  });
  const oneState = (call: AuthedCall) => {
    const { room, upto } = stateReadable(world, call);
    const event = room.stateAt(upto, call.params.type ?? "", call.params.key ?? "");
    if (event === undefined) throw notFound("Event not found.");
    const wantsEvent = call.query.get("format") === "event";
    return json(wantsEvent ? stateJson(world, call, event, "plain") : event.content);
  };
  router.authed("GET", "/client/rooms/:room/state/:type/:key", oneState);
  router.authed("GET", "/client/rooms/:room/state/:type", oneState);
  router.authed("GET", "/client/rooms/:room/members", (call) => json({ chunk: members(world, call) }));
  router.authed("GET", "/client/rooms/:room/joined_members", (call) => {
    const { room, upto } = readable(world, call);
    if (Number.isFinite(upto)) {
      throw forbidden("Getting joined members while not being a current member of the room is forbidden.");
    }
    return json({
      joined: Object.fromEntries(room.joinedMembers().map((userId) => [userId, profileIn(room, userId)])),
    });
  });
  router.authed("GET", "/client/rooms/:room/event/:event", (call) => {
    const event = world.events.get(call.params.event ?? "");
    if (event === undefined || event.roomId !== call.params.room) throw notFound("Event not found.");
    const room = world.room(event.roomId);
    const [shown] = shownTo(room, [event], readerOfEvent(room, call));
    if (shown === undefined) throw notFound("Event not found.");
    return json(timelineJson(world, call, [shown])[0]);
  });
  const relations = (call: AuthedCall) => json({ chunk: related(world, call) });
  router.authed("GET", "/client/rooms/:room/relations/:event", relations);
  router.authed("GET", "/client/rooms/:room/relations/:event/:relation", relations);
  router.authed("GET", "/client/rooms/:room/relations/:event/:relation/:type", relations);
}

export interface Readable {
  readonly room: Room;
  /** The stream position up to which this user may read the room's state. */
  readonly upto: number;
  readonly reader: Reader;
}

/** As {@link readable}, by what the profile says of those who left. */
function stateReadable(world: World, call: AuthedCall): Readable {
  const { stateForDeparted } = world.profile;
  const found = readable(world, call);
  const { room, upto } = found;
  if (!Number.isFinite(upto) || stateForDeparted === "of then") return found;
  if (isOpen(room)) return { ...found, upto: Number.POSITIVE_INFINITY };
  if (stateForDeparted === "open") throw notFound("You don't have permission to view the room state.");
  return found;
}

const isOpen = (room: Room): boolean =>
  room.state("m.room.history_visibility")?.content.history_visibility === "world_readable";

/** The room of a call, if its user is or was in it, or everybody may look. */
export function readable(world: World, call: AuthedCall): Readable {
  const { user } = call.device;
  const room = world.rooms.get(call.params.room ?? "");
  const own = user.memberships.get(room?.id ?? "");
  if (room !== undefined && room.membership(user.userId) === "join") {
    return { room, upto: Number.POSITIVE_INFINITY, reader: { user } };
  }
  // Synapse asks no more than that the user left, be it an invite.
  if (room !== undefined && own?.membership === "leave" && !own.forgotten)
    return { room, upto: own.event.stream, reader: { user } };
  if (room !== undefined && isOpen(room))
    return { room, upto: Number.POSITIVE_INFINITY, reader: { user, isPeeking: true } };
  throw notJoined(call);
}

/** One event is shown by its own visibility alone: Synapse asks for no membership, and one who forgot the room still sees it. */
export function readerOfEvent(room: Room, { device }: AuthedCall): Reader {
  return { user: device.user, isPeeking: room.membership(device.user.userId) !== "join" };
}

function notJoined({ device, params }: AuthedCall): MatrixError {
  return forbidden(`User ${device.user.userId} not in room ${params.room}, and room previews are disabled`);
}

function legacy(world: World, call: AuthedCall): SerializeOptions {
  return {
    nowMs: world.clock.nowMs(),
    device: call.device,
    format: "legacy",
    previous: world.profile.previousContent,
  };
}

/** Events of a timeline, with what relates to them. */
export function timelineJson(world: World, call: AuthedCall, events: readonly Shown[]): JsonObject[] {
  const bundled = withBundles(world, events, call.device.user);
  return bundled.map((shown) => serialize(shown, legacy(world, call)));
}

export function stateJson(
  world: World,
  call: AuthedCall,
  event: StoredEvent,
  format: SerializeOptions["format"] = "legacy",
): JsonObject {
  return serialize(shownAs(event), { ...legacy(world, call), format });
}

function members(world: World, call: AuthedCall): JsonObject[] {
  const { room, upto } = readable(world, call);
  const at = call.query.get("at");
  const asOf = at === null ? upto : world.profile.tokens.parsePage(at, "f").room.stream;
  const wanted = call.query.get("membership");
  const unwanted = call.query.get("not_membership");
  const events = [...room.fullStateAt(asOf).values()].filter((event) => {
    if (event.type !== "m.room.member") return false;
    const { membership } = event.content;
    return (wanted === null || membership === wanted) && (unwanted === null || membership !== unwanted);
  });
  return events.map((event) => stateJson(world, call, event));
}

function profileIn(room: Room, userId: string): JsonObject {
  const { displayname = null, avatar_url = null } = room.members.get(userId)?.content ?? {};
  return { display_name: displayname, avatar_url };
}

/** All at once and newest first: nothing here has so many relations that a page would matter. */
function related(world: World, call: AuthedCall): JsonObject[] {
  const { room, reader } = readable(world, call);
  const { event: eventId = "", relation, type } = call.params;
  const event = world.events.get(eventId);
  if (event === undefined || event.roomId !== room.id) throw notFound("Unknown parent event.");
  const found = relationsFor(world, event, call.device.user).filter(
    (other) =>
      (relation === undefined || relationTypeOf(other) === relation) && (type === undefined || other.type === type),
  );
  return timelineJson(world, call, shownTo(room, found.reverse(), reader));
}
