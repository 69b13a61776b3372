// What the scripted homeserver has of rooms that others made, and of rooms that it cannot read.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Robot, SyncBody } from "../support/homeserver/robot.ts";
import { type Homeserver, type RemoteEvent, startHomeserver } from "../support/homeserver/start.ts";

const CREATOR = "@creator:remote.example";

let homeserver: Homeserver & AsyncDisposable;
let alice: Robot;

beforeAll(async () => {
  homeserver = await startHomeserver();
  await homeserver.control.settings({ responseCache: false });
  alice = await homeserver.register("alice");
});
afterAll(async () => {
  await homeserver[Symbol.asyncDispose]();
});

const beginning: RemoteEvent[] = [
  { type: "m.room.create", stateKey: "", sender: CREATOR, content: { creator: CREATOR, room_version: "10" } },
  { type: "m.room.member", stateKey: CREATOR, sender: CREATOR, content: { membership: "join" } },
  { type: "m.room.join_rules", stateKey: "", sender: CREATOR, content: { join_rule: "public" } },
];
const lazy = { room: { state: { lazy_load_members: true }, timeline: { limit: 50 } } };
const roomIn = (answer: SyncBody, roomId: string) => answer.rooms?.join?.[roomId];
const types = (events: readonly { readonly type: string }[] = []) => events.map(({ type }) => type).toSorted();

describe("a room of another server", () => {
  test("that is joined comes with a timeline of the join alone, and the other's state beside it", async () => {
    const { next_batch: since } = await alice.sync();
    const roomId = await homeserver.control.remoteRoom({ state: beginning });
    await alice.join(roomId);
    const room = roomIn(await alice.sync({ since, filter: { room: { timeline: { limit: 50 } } } }), roomId);
    expect([types(room?.timeline.events), room?.timeline.limited]).toEqual([["m.room.member"], true]);
    expect(types(room?.state.events)).toEqual(["m.room.create", "m.room.join_rules", "m.room.member"]);
  });

  test("of which older events were read has them before the join, with a first sync too; nobody is told of them later", async () => {
    const old = { sender: CREATOR, content: { msgtype: "m.text", body: "of old" } };
    const roomId = await homeserver.control.remoteRoom({ history: [...beginning, old] });
    await alice.join(roomId);
    const first = await alice.sync({ filter: lazy });
    const timeline = roomIn(first, roomId)?.timeline.events ?? [];
    expect(timeline.map(({ type }) => type)).toEqual([
      ...beginning.map(({ type }) => type),
      "m.room.message",
      "m.room.member",
    ]);
    expect(roomIn(await alice.sync({ since: first.next_batch, filter: lazy }), roomId)).toBeUndefined();
  });

  test("of whose members some come later is current with them, and lazy clients are not told", async () => {
    const roomId = await homeserver.control.remoteRoom({ state: beginning });
    await alice.join(roomId);
    const { next_batch: since } = await alice.sync({ filter: lazy });
    const late = { type: "m.room.member", stateKey: "@late:remote.example", sender: "@late:remote.example" };
    await homeserver.control.remoteRoom({ roomId, state: [{ ...late, content: { membership: "join" } }] });
    expect(roomIn(await alice.sync({ since, filter: lazy }), roomId)).toBeUndefined();
    expect((await alice.state(roomId)).map(({ state_key: key }) => key)).toContain(late.stateKey);
  });
});

test("a room whose version is not known any more is in no sync, has no state that could be read, and its users are in it", async () => {
  const roomId = await alice.createRoom();
  const { next_batch: since } = await alice.sync();
  await homeserver.control.forgetRoomVersion(roomId);
  expect(roomIn(await alice.sync(), roomId)).toBeUndefined();
  expect(roomIn(await alice.sync({ since, full_state: true }), roomId)).toBeUndefined();
  expect((await alice.call("GET", "/joined_rooms")).joined_rooms).toContain(roomId);
  expect(await alice.state(roomId)).toEqual([]);
  expect((await alice.messages(roomId)).chunk).toEqual([]);
});
