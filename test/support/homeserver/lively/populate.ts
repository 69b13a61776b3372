import type { EventDraft } from "../event.ts";
import type { JsonObject } from "../json.ts";
import type { Random } from "../random.ts";
import type { Room } from "../room.ts";
import type { User } from "../user.ts";
import type { World } from "../world.ts";
import { message } from "./messages.ts";
import { roomName, roomTopic } from "./vocabulary.ts";

const DAY_MS = 24 * 60 * 60_000;
const HISTORY_DAYS = 30;
const MESSAGES_PER_ROOM = { least: 10, spread: 30 };
const SPACE_EVERY = 40;
const SPACE_CHILDREN = 8;

export interface PopulateOptions {
  readonly world: World;
  readonly random: Random;
  readonly owner: User;
  readonly others: readonly User[];
}

export type RoomKind = "space" | "direct" | "nameless" | "named";

export interface MadeRoom {
  readonly room: Room;
  readonly kind: RoomKind;
}

/** Rooms of an account with members, state and a month of history, in the order in which it would have happened. */
export function makeRooms(options: PopulateOptions, count: number): MadeRoom[] {
  const { world } = options;
  const startMs = world.clock.nowMs() - (HISTORY_DAYS + 1) * DAY_MS;
  const made = Array.from({ length: count }, (_, index) =>
    makeRoom(options, index, startMs + (index * DAY_MS) / count),
  );
  addSpaceChildren(world, made, options.owner, startMs + DAY_MS);
  writeHistory(options, made, startMs + DAY_MS);
  return made;
}

function kindOf(random: Random, index: number): RoomKind {
  if (index % SPACE_EVERY === SPACE_EVERY - 1) return "space";
  if (random.chance(0.25)) return "direct";
  return random.chance(0.06) ? "nameless" : "named";
}

function makeRoom(options: PopulateOptions, index: number, atMs: number): MadeRoom {
  const { world, random, owner, others } = options;
  const kind = kindOf(random, index);
  const room = world.addRoom(world.ids.room(world.serverName), world.profile.defaultRoomVersion);
  const members = pickSome(random, others, kind === "direct" ? 1 : 8 + random.below(18));
  const creator = random.chance(0.3) || members[0] === undefined ? owner : members[0];
  const furniture = furnish(random, kind, creator, owner);
  const people = [creator, ...[owner, ...members].filter((user) => user !== creator)];
  const [create, ...rest] = furniture;
  const drafts = [create, memberDraft(creator), ...rest, ...people.slice(1).map((user) => memberDraft(user))];
  drafts.forEach((draft, step) => {
    if (draft !== undefined) world.append(room, { ...draft, originServerTs: Math.floor(atMs) + step });
  });
  return { room, kind };
}

function memberDraft({ userId, displayname, avatarUrl }: User): EventDraft {
  const avatar = avatarUrl === undefined ? {} : { avatar_url: avatarUrl };
  const content = { membership: "join", displayname, ...avatar };
  return { type: "m.room.member", sender: userId, stateKey: userId, content };
}

function furnish(random: Random, kind: RoomKind, creator: User, owner: User): EventDraft[] {
  const state = (type: string, content: JsonObject): EventDraft => ({
    type,
    sender: creator.userId,
    stateKey: "",
    content,
  });
  const isSpace = kind === "space";
  const name = roomName(random);
  const visibility = random.chance(0.9) ? "shared" : random.pick(["joined", "invited", "world_readable"]);
  const drafts = [
    state("m.room.create", { creator: creator.userId, room_version: "10", ...(isSpace ? { type: "m.space" } : {}) }),
    state("m.room.power_levels", {
      users: { [creator.userId]: 100, [owner.userId]: 100 },
      state_default: 50,
      events_default: isSpace ? 100 : 0,
    }),
    state("m.room.join_rules", { join_rule: kind === "named" && random.chance(0.3) ? "public" : "invite" }),
    state("m.room.history_visibility", { history_visibility: visibility }),
    state("m.room.guest_access", { guest_access: "can_join" }),
  ];
  if (!isSpace && random.chance(kind === "direct" ? 0.7 : 0.3)) {
    drafts.push(state("m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }));
  }
  if (kind === "direct" || kind === "nameless") return drafts;
  drafts.push(state("m.room.name", { name }));
  if (random.chance(0.5)) drafts.push(state("m.room.topic", { topic: roomTopic(random, name) }));
  if (random.chance(0.4))
    drafts.push(state("m.room.avatar", { url: `mxc://example.org/${random.below(2 ** 32).toString(36)}` }));
  return drafts;
}

function addSpaceChildren(world: World, made: readonly MadeRoom[], owner: User, atMs: number): void {
  made.forEach(({ room, kind }, index) => {
    if (kind !== "space") return;
    const children = made.slice(Math.max(0, index - SPACE_CHILDREN), index).filter((child) => child.kind !== "space");
    for (const child of children) {
      const content = { via: [world.serverName] };
      const draft = { type: "m.space.child", sender: owner.userId, stateKey: child.room.id, content };
      world.append(room, { ...draft, originServerTs: atMs });
    }
  });
}

/** Messages of all rooms by time, each room with its own last day, so that some are quiet for weeks. */
function writeHistory({ world, random }: PopulateOptions, made: readonly MadeRoom[], startMs: number): void {
  const moments: { readonly atMs: number; readonly room: Room }[] = [];
  for (const { room, kind } of made) {
    if (kind === "space") continue;
    const spanMs = (1 - random.unit() ** 2) * (HISTORY_DAYS - 0.01) * DAY_MS;
    const count = MESSAGES_PER_ROOM.least + random.below(MESSAGES_PER_ROOM.spread);
    for (let step = 0; step < count; step++) moments.push({ atMs: Math.floor(startMs + random.unit() * spanMs), room });
  }
  moments.sort((a, b) => a.atMs - b.atMs);
  const members = new Map(made.map(({ room }) => [room, room.joinedMembers()]));
  for (const { room, atMs } of moments) {
    const sender = random.pick(members.get(room) ?? []);
    world.append(room, { ...message(random, room, sender), originServerTs: atMs });
  }
}

/** Some of many, without one twice. */
export function pickSome<T>(random: Random, from: readonly T[], count: number): T[] {
  const left = [...from];
  const picked: T[] = [];
  while (picked.length < count && left.length > 0) picked.push(...left.splice(random.below(left.length), 1));
  return picked;
}
