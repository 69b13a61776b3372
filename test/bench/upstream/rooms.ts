import {
  coldUser,
  FLOOD_ROOMS,
  floodRoom,
  GROUP_ROOMS,
  GROUP_USERS,
  groupRoom,
  groupUser,
  OWNER,
  roomId,
  userId,
  WINDOW_ROOMS,
} from "../population.ts";
import { type EventFacts, messageEvent, randomFrom, stateEvent } from "./events.ts";

/** Timeline events of a room in an initial sync: more than a window asks for, as in a room that is in use. */
const TIMELINE_EVENTS = 22;
const SMALL_TIMELINE_EVENTS = 4;

/** Members that have written something, so that a client with lazy members needs them. */
const SPEAKERS = 4;

/** When the newest event of the newest room was sent; each room is a minute older than the one before it. */
const NEWEST_MS = 1_760_000_000_000;
const ROOM_STEP_MS = 60_000;
const EVENT_STEP_MS = 1_000;

interface RoomSketch {
  readonly room: string;
  readonly members: readonly string[];
  readonly timelineEvents: number;
  /** The newest event's time. */
  readonly newestMs: number;
}

/** The start of a body. The list of ignored users is empty: what comes is attested for everybody. */
const opening = (nextBatch: string): string =>
  `{"next_batch":"${nextBatch}","account_data":{"events":[` +
  `{"type":"m.ignored_user_list","content":{"ignored_users":{}}},{"type":"m.direct","content":{}}]},` +
  `"device_one_time_keys_count":{"signed_curve25519":50},"device_unused_fallback_key_types":["signed_curve25519"]`;

export const emptyBody = (nextBatch: string): string => `${opening(nextBatch)}}`;

/** Says that a user is in the owner's rooms, and no more of these: what is stored of them stands. */
export function namingBody(owner: string, rooms: number): string {
  const named = Array.from({ length: rooms }, (_, index) => `"${roomId(ownedName(owner, index))}":{}`);
  return `${opening("s0")},"rooms":{"join":{${named.join(",")}}}}`;
}

const ownedName = (owner: string, index: number): string => `${owner}room${index}`;

/** An account's initial sync, room by room. The rooms are in the order of their activity, the newest first. */
export function* accountBody(owner: string, rooms: number, coldUsers: number): Generator<string> {
  yield `${opening("s0")},"rooms":{"join":{`;
  for (let index = 0; index < rooms; index += 1) {
    const name = ownedName(owner, index);
    const cold = Math.floor(index / WINDOW_ROOMS);
    const members = [owner, ...speakersOf(name), ...(cold < coldUsers ? [coldUser(cold)] : [])];
    const newestMs = NEWEST_MS - index * ROOM_STEP_MS;
    const room = { room: roomId(name), members, timelineEvents: TIMELINE_EVENTS, newestMs };
    yield `${index === 0 ? "" : ","}${joinedRoom(room, index)}`;
  }
  yield "}}}";
}

export function groupBody(group: number): string {
  const members = [...Array.from({ length: GROUP_USERS }, (_, index) => groupUser(group, index)), `friend${group}`];
  return smallBody(GROUP_ROOMS, (index) => groupRoom(group, index), members);
}

export const floodBody = (user: string): string =>
  smallBody(FLOOD_ROOMS, (index) => floodRoom(user, index), [user, `friend${user}`]);

function smallBody(count: number, roomOf: (index: number) => string, members: readonly string[]): string {
  const rooms = Array.from({ length: count }, (_, index) => {
    const newestMs = NEWEST_MS - index * ROOM_STEP_MS;
    return joinedRoom({ room: roomOf(index), members, timelineEvents: SMALL_TIMELINE_EVENTS, newestMs }, index);
  });
  return `${opening("s0")},"rooms":{"join":{${rooms.join(",")}}}}`;
}

const isNamed = (index: number): boolean => index % 4 !== 0;

const speakersOf = (room: string): readonly string[] =>
  Array.from({ length: SPEAKERS }, (_, index) => `${room}speaker${index}`);

function joinedRoom(room: RoomSketch, index: number): string {
  const random = randomFrom(index);
  const { members, timelineEvents, newestMs } = room;
  const speakers = members.length > 1 ? members.slice(1) : members;
  const timeline = Array.from({ length: timelineEvents }, (_, event) => {
    const sender = speakers[event % speakers.length] ?? OWNER;
    const tsMs = newestMs - (timelineEvents - 1 - event) * EVENT_STEP_MS;
    return messageEvent({ label: `${room.room} ${event}`, sender, tsMs }, random);
  });
  // Homeservers name heroes for rooms without a name only.
  const summary = {
    ...(isNamed(index) ? {} : { "m.heroes": speakers.map(userId).slice(0, 5) }),
    "m.joined_member_count": members.length,
    "m.invited_member_count": 0,
  };
  return (
    `"${room.room}":{"timeline":{"events":[${timeline.join(",")}],"prev_batch":"p${index}","limited":true},` +
    `"state":{"events":[${stateOf(room, index).join(",")}]},"account_data":{"events":[]},"ephemeral":{"events":[]},` +
    `"unread_notifications":{"notification_count":${index % 10 === 0 ? 2 : 0},"highlight_count":0},"summary":${JSON.stringify(summary)}}`
  );
}

function stateOf({ room, members, newestMs }: RoomSketch, index: number): readonly string[] {
  const creator = members[0] ?? OWNER;
  const facts: EventFacts = { label: room, sender: creator, tsMs: newestMs - 3_600_000 };
  const state = (type: string, content: object) => stateEvent(facts, type, "", content);
  const powers = { users: { [userId(creator)]: 100 }, users_default: 0, events_default: 0, state_default: 50, ban: 50 };
  return [
    state("m.room.create", { creator: userId(creator), room_version: "11" }),
    state("m.room.power_levels", {
      ...powers,
      events: { "m.room.name": 50, "m.room.avatar": 50 },
      invite: 0,
      kick: 50,
    }),
    state("m.room.join_rules", { join_rule: "invite" }),
    state("m.room.history_visibility", { history_visibility: "shared" }),
    state("m.room.guest_access", { guest_access: "forbidden" }),
    state("m.room.topic", { topic: `What room ${index} is about, told in a sentence of usual length` }),
    state("m.room.avatar", { url: "mxc://bench.example/abcdefghijklmnopqrstuvwx" }),
    ...(isNamed(index) ? [state("m.room.name", { name: `Room number ${index}` })] : []),
    ...(index % 2 === 0 ? [state("m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" })] : []),
    ...members.map((member) =>
      stateEvent({ ...facts, sender: member }, "m.room.member", userId(member), {
        membership: "join",
        displayname: `Display name of ${member}`,
        avatar_url: "mxc://bench.example/yzabcdefghijklmnopqrstuv",
      }),
    ),
  ];
}
