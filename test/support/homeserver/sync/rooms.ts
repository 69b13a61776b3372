import { membershipOf, type StoredEvent } from "../event.ts";
import { paginate } from "../paginate.ts";
import type { Profile } from "../profile.ts";
import type { Room } from "../room.ts";
import { atStream, type StreamToken } from "../tokens.ts";
import type { OwnMembership } from "../user.ts";
import type { World } from "../world.ts";
import type { RoomEntry, SyncRequest } from "./model.ts";

export interface RoomChanges {
  readonly entries: RoomEntry[];
  readonly invited: StoredEvent[];
  readonly knocked: StoredEvent[];
  readonly newlyJoined: Set<string>;
  readonly newlyLeft: Set<string>;
}

const noChanges = (): RoomChanges => ({
  entries: [],
  invited: [],
  knocked: [],
  newlyJoined: new Set(),
  newlyLeft: new Set(),
});

/** Every room of the user, for a request without `since`. */
export function roomsForInitial(world: World, request: SyncRequest, now: StreamToken): RoomChanges {
  const changes = noChanges();
  const { user } = request.device;
  for (const [roomId, own] of user.memberships) {
    const room = world.room(roomId);
    if (own.forgotten || room.isOfUnknownVersion) continue;
    const entry = () => wholeRoom(room, "leave", atStream(now, own.event.stream));
    if (own.membership === "join") changes.entries.push(wholeRoom(room, "join", now));
    else if (own.membership === "invite") {
      if (!user.ignored.has(own.event.sender)) changes.invited.push(own.event);
    } else if (own.membership === "knock") {
      if (world.profile.tellsOfKnocks) changes.knocked.push(own.event);
    } else if (isListed(world.profile, own, request)) changes.entries.push(endOf(world, own.event, entry()));
  }
  return changes;
}

/** Kicks and bans stay in sight; rooms that the user left go, unless asked for. */
function isListed({ leftRooms }: Profile, own: OwnMembership, request: SyncRequest): boolean {
  if (leftRooms === "none") return false;
  if (request.filter.includeLeave) return true;
  const isOwnWill = own.membership !== "ban" && own.event.sender === request.device.user.userId;
  return leftRooms === "kicks and bans" && !isOwnWill;
}

/** What is told instead of a room's section, where an invite is gone and the homeserver invents how. */
function endOf(world: World, farewell: StoredEvent, entry: RoomEntry): RoomEntry {
  const { endOfInvite } = world.profile;
  const isOutlier = farewell.oddity?.outlier === true;
  const isOfInvite = isOutlier || membershipOf(farewell.replaces ?? farewell) === "invite";
  if (endOfInvite === "the event" || !isOfInvite) return entry;
  if (endOfInvite === "an invented state event" && !isOutlier) return entry;
  const invented: StoredEvent = {
    ...farewell,
    eventId: world.ids.event(),
    sender: farewell.stateKey ?? "",
    content: { membership: "leave" },
    originServerTs: world.clock.nowMs(),
    replaces: undefined,
    sentBy: undefined,
    oddity: { outlier: true },
  };
  const isState = endOfInvite === "an invented state event";
  return {
    ...entry,
    isOutOfBand: true,
    events: isState ? [] : [invented],
    inventedState: isState ? invented : undefined,
  };
}

function wholeRoom(room: Room, kind: "join" | "leave", upto: StreamToken): RoomEntry {
  const end = upto.room.stream;
  const common = { events: undefined, isNewlyJoined: false, fullState: true, since: undefined, isOutOfBand: false };
  return { room, kind, upto, end, ...common };
}

type IncrementalRequest = SyncRequest & { readonly since: StreamToken };

/** The rooms that may have news since a token, and how the user's own membership moved. */
export function roomsSince(
  world: World,
  request: IncrementalRequest,
  rooms: readonly Room[],
  now: StreamToken,
): RoomChanges {
  const changes = noChanges();
  const { since } = request;
  for (const [roomId, events] of ownEventsByRoom(request, since, now)) {
    classify(world, request, { roomId, events, since }, changes);
  }
  for (const room of rooms) changes.entries.push(joinedEntry(room, request, now, changes));
  return changes;
}

function ownEventsByRoom(request: SyncRequest, since: StreamToken, now: StreamToken): Map<string, StoredEvent[]> {
  const { membershipEvents } = request.device.user;
  const first = membershipEvents.findLastIndex(({ stream }) => stream <= since.room.stream) + 1;
  const inRange = membershipEvents.slice(first).filter(({ stream }) => stream <= now.room.stream);
  // Synapse reads these with their previous content, and its event cache keeps it.
  for (const event of inRange) event.knowsPrevious = true;
  return Map.groupBy(inRange, ({ roomId }) => roomId);
}

interface OwnChange {
  readonly roomId: string;
  /** Own member events in the range, at least one. */
  readonly events: readonly StoredEvent[];
  readonly since: StreamToken;
}

function classify(world: World, request: SyncRequest, change: OwnChange, changes: RoomChanges): void {
  const { roomId, events, since } = change;
  const { user } = request.device;
  const room = world.room(roomId);
  const others = events.filter((event) => membershipOf(event) !== "join");
  const hasJoin = others.length < events.length;
  const isJoined = user.isJoined(roomId);
  const wasJoined = membershipOf(room.stateAt(since.room.stream, "m.room.member", user.userId)) === "join";
  // Whoever is in a room and was outside in between is new to it, also if they were in it before.
  if ((isJoined && others.length > 0) || ((isJoined || hasJoin) && !wasJoined)) changes.newlyJoined.add(roomId);
  const last = others.at(-1);
  if (isJoined || last === undefined) return;
  if (events.at(-1) === last && (hasJoin || wasJoined)) changes.newlyLeft.add(roomId);
  if (membershipOf(last) === "invite" && !user.ignored.has(last.sender)) changes.invited.push(last);
  if (membershipOf(last) === "knock" && world.profile.tellsOfKnocks) changes.knocked.push(last);
  const farewell = others.findLast((event) => ["leave", "ban"].includes(membershipOf(event)));
  if (farewell !== undefined) changes.entries.push(endOf(world, farewell, leftEntry(room, farewell, since, changes)));
}

function leftEntry(room: Room, farewell: StoredEvent, since: StreamToken, changes: RoomChanges): RoomEntry {
  const isOutOfBand = farewell.oddity?.outlier === true;
  return {
    room,
    kind: "leave",
    events: isOutOfBand ? [farewell] : undefined,
    isNewlyJoined: changes.newlyJoined.has(room.id),
    fullState: false,
    since,
    upto: atStream(since, farewell.stream),
    end: farewell.stream,
    isOutOfBand,
  };
}

function joinedEntry(room: Room, request: IncrementalRequest, now: StreamToken, changes: RoomChanges): RoomEntry {
  const { since } = request;
  const isNewlyJoined = changes.newlyJoined.has(room.id);
  const common = {
    room,
    kind: "join",
    isNewlyJoined,
    fullState: false,
    end: now.room.stream,
    isOutOfBand: false,
  } as const;
  if (room.lastStream <= since.room.stream) return { ...common, events: [], since, upto: since };
  const page = paginate(room, {
    order: "stream",
    direction: "b",
    from: now.room,
    to: since.room,
    limit: request.filter.timelineLimit + 1,
  });
  return {
    ...common,
    events: page.events.reverse(),
    since: isNewlyJoined ? undefined : since,
    upto: { ...now, room: page.next },
  };
}
