import { createRoom } from "../create-room.ts";
import { addReceipt } from "../ephemeral.ts";
import type { JsonObject } from "../json.ts";
import { invite } from "../membership.ts";
import type { Random } from "../random.ts";
import { setAccountData, setRoomAccountData, setTags } from "../user-data.ts";
import type { MadeRoom, PopulateOptions } from "./populate.ts";
import { roomName, roomTopic } from "./vocabulary.ts";

const INVITES = 3;

/** What a user leaves behind in an account: direct chats, tags, receipts, read markers, and invites that wait. */
export function addHabits(options: PopulateOptions, made: readonly MadeRoom[]): void {
  addDirects(options, made);
  for (const { room } of made) {
    addReceipts(options, room.id);
    addTags(options, room.id);
  }
  addInvites(options);
}

function addDirects({ world, owner }: PopulateOptions, made: readonly MadeRoom[]): void {
  const directs: Record<string, string[]> = {};
  for (const { room, kind } of made) {
    if (kind !== "direct") continue;
    const other = room.joinedMembers().find((userId) => userId !== owner.userId);
    if (other !== undefined) directs[other] = [...(directs[other] ?? []), room.id];
  }
  setAccountData(world, owner, "m.direct", directs satisfies JsonObject);
}

function addReceipts({ world, random, owner, others }: PopulateOptions, roomId: string): void {
  const room = world.room(roomId);
  const readBack = (random: Random) => room.timeline.at(-1 - (random.chance(0.7) ? 0 : random.below(8)));
  for (const user of [owner, random.pick(others)]) {
    const event = readBack(random);
    if (event === undefined || room.membership(user.userId) !== "join") continue;
    addReceipt(world, room, user, "m.read", event.eventId);
    if (user === owner) setRoomAccountData(world, owner, roomId, "m.fully_read", { event_id: event.eventId });
  }
}

function addTags({ world, random, owner }: PopulateOptions, roomId: string): void {
  const draw = random.unit();
  if (draw < 0.04) setTags(world, owner, roomId, { "m.favourite": { order: random.unit() } });
  else if (draw < 0.08) setTags(world, owner, roomId, { "m.lowpriority": {} });
}

function addInvites({ world, random, owner, others }: PopulateOptions): void {
  for (let index = 0; index < INVITES; index++) {
    const sender = random.pick(others);
    const name = roomName(random);
    const isDirect = index === 0;
    const named = isDirect ? {} : { name, topic: roomTopic(random, name) };
    const room = createRoom(world, sender, { preset: "private_chat", is_direct: isDirect, ...named });
    invite(world, room, sender, owner.userId, { isDirect });
  }
}
