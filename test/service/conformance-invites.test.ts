// Rows of the conformance table about invites into rooms of other servers, of which there is stripped state or none.
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { roomIdsIn, roomIn } from "../e2e/conformance/answer.ts";
import type { Person } from "../e2e/conformance/person.ts";
import { World } from "../e2e/conformance/world.ts";
import type { JsonObject } from "../support/room-life/api.ts";
import { listedIn, type ScriptedTarget, startScriptedTarget } from "../support/scripted-target.ts";

const INVITER = "@inviter:remote.example";

let target: ScriptedTarget;

beforeAll(async () => {
  target = await startScriptedTarget();
});
afterAll(async () => {
  await target[Symbol.asyncDispose]();
});

const stripped = (type: string, content: JsonObject) => ({ type, state_key: "", sender: INVITER, content });
const created = (content: JsonObject = {}) => stripped("m.room.create", { room_version: "10", ...content });
const encrypted = stripped("m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" });

const inviteTo = (person: Person, strippedState: readonly object[], roomId?: string): Promise<string> =>
  target.homeserver.control.remoteInvite({
    userId: person.id,
    sender: INVITER,
    strippedState: strippedState.map((event) => ({ ...event })),
    ...(roomId !== undefined && { roomId }),
  });

const own = { ranges: [[0, 99]], timeline_limit: 1, required_state: [["m.room.member", "$ME"]] };
const oneList: JsonObject = { lists: { all: own } };
/** A list for each filter, and one of everything. */
const byFilter = (filters: Readonly<Record<string, JsonObject>>): JsonObject => ({
  lists: Object.fromEntries(
    Object.entries({ all: {}, ...filters }).map(([key, filter]) => [
      key,
      { ranges: [[0, 99]], timeline_limit: 0, required_state: [], filters: filter },
    ]),
  ),
});
const byEncryption = byFilter({ yes: { is_encrypted: true }, no: { is_encrypted: false } });
const byType = byFilter({ ordinary: { room_types: [null] }, spaces: { room_types: ["m.space"] } });

/** Leaves and forgets as clients do, through the product. */
const leaveAndForget = async ({ session }: Person, roomId: string) => {
  const client = session.at(target.syncUrl);
  await client.inRoom("POST", roomId, "leave");
  await client.inRoom("POST", roomId, "forget");
};

test("row 7: an invite into a room of another server is listed, and a second one is after the first was rejected and the room forgotten", async () => {
  const user = await new World(target, 7).user();
  const roomId = await inviteTo(user, [created()]);
  const first = await user.sync(oneList);
  expect([listedIn(first), roomIdsIn(first)]).toEqual([{ all: [roomId] }, [roomId]]);
  await leaveAndForget(user, roomId);
  await inviteTo(user, [created(), stripped("m.room.name", { name: "Second" })], roomId);
  const second = await user.sync(oneList, { pos: first.pos });
  expect([listedIn(second), roomIn(second, roomId).initial]).toEqual([{ all: [roomId] }, true]);
  expect(roomIn(second, roomId).invite_state).toContainEqual(expect.objectContaining({ content: { name: "Second" } }));

  // A client that has been told of the end in between.
  await leaveAndForget(user, roomId);
  const ended = await user.sync(oneList, { pos: second.pos });
  const without = await user.sync(oneList, { pos: ended.pos });
  expect([listedIn(without), roomIdsIn(without)]).toEqual([{ all: [] }, []]);
  await inviteTo(user, [created()], roomId);
  const third = await user.sync(oneList, { pos: without.pos });
  expect([listedIn(third), roomIn(third, roomId).initial]).toEqual([{ all: [roomId] }, true]);
});

test("row 8: an invite into a room of another server that its user rejects is listed once more where it was, with their leave in required_state", async () => {
  const user = await new World(target, 8).user();
  const roomId = await inviteTo(user, [created()]);
  const plain = await user.sync(oneList);
  // The only list has a filter that the end of an invite must pass as the invite did.
  const filtered: JsonObject = {
    conn_id: "filtered",
    lists: { all: { ...own, filters: { not_room_types: ["m.space"] } } },
  };
  const ofRooms = await user.sync(filtered);
  await user.leave(roomId);
  for (const [request, { pos }] of [
    [oneList, plain],
    [filtered, ofRooms],
  ] as const) {
    const answer = await user.sync(request, { pos });
    expect(listedIn(answer)).toEqual({ all: [roomId] });
    const room = roomIn(answer, roomId);
    expect(room.required_state).toEqual([
      expect.objectContaining({ type: "m.room.member", state_key: user.id, content: { membership: "leave" } }),
    ]);
    expect(room.invite_state).toBeUndefined();
    const next = await user.sync(request, { pos: answer.pos });
    expect([listedIn(next), roomIdsIn(next)]).toEqual([{ all: [] }, []]);
  }
});

/** An ordinary room and an encrypted one, a space, and who is in all three. */
const withRooms = async (row: number) => {
  const user = await new World(target, row).user();
  const ordinary = await user.room();
  const state = [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }];
  const secret = await user.room({ initial_state: state });
  const space = await user.room({ creation_content: { type: "m.space" } });
  return { user, ordinary, secret, space };
};

/** Listed both on the first request and when the invite comes later. */
const expectListed = async (
  row: number,
  request: JsonObject,
  strippedState: readonly object[],
  expected: (rooms: Awaited<ReturnType<typeof withRooms>>, invite: string) => Readonly<Record<string, string[]>>,
) => {
  const rooms = await withRooms(row);
  const { user } = rooms;
  const before = await inviteTo(user, strippedState);
  const sorted = (lists: Readonly<Record<string, string[]>>) =>
    Object.fromEntries(Object.entries(lists).map(([key, ids]) => [key, ids.toSorted()]));
  const first = await user.sync(request);
  expect(listedIn(first)).toEqual(sorted(expected(rooms, before)));
  await user.leave(before);
  const gone = await user.sync(request, { pos: (await user.sync(request, { pos: first.pos })).pos });
  const later = await inviteTo(user, strippedState);
  const answer = await user.sync(request, { pos: gone.pos });
  expect(listedIn(answer)).toEqual(sorted(expected(rooms, later)));
  expect(roomIdsIn(answer)).toEqual([later]);
};

test("row 33: an invite without stripped state is neither in the list of encrypted rooms nor in that of the others", async () => {
  await expectListed(33, byEncryption, [], ({ ordinary, secret, space }, invite) => ({
    all: [ordinary, secret, space, invite],
    yes: [secret],
    no: [ordinary, space],
  }));
});

test("row 34: an invite whose stripped state has the room encrypted is in the list of encrypted rooms", async () => {
  await expectListed(34, byEncryption, [created(), encrypted], ({ ordinary, secret, space }, invite) => ({
    all: [ordinary, secret, space, invite],
    yes: [secret, invite],
    no: [ordinary, space],
  }));
});

test("row 35: an invite whose stripped state says nothing of encryption is in the list of rooms without", async () => {
  await expectListed(35, byEncryption, [created()], ({ ordinary, secret, space }, invite) => ({
    all: [ordinary, secret, space, invite],
    yes: [secret],
    no: [ordinary, space, invite],
  }));
});

test("row 42: an invite without stripped state is of no type: neither among ordinary rooms nor among spaces", async () => {
  await expectListed(42, byType, [], ({ ordinary, secret, space }, invite) => ({
    all: [ordinary, secret, space, invite],
    ordinary: [ordinary, secret],
    spaces: [space],
  }));
});

test("row 43: an invite into a space of another server is in the list of spaces", async () => {
  await expectListed(43, byType, [created({ type: "m.space" })], ({ ordinary, secret, space }, invite) => ({
    all: [ordinary, secret, space, invite],
    ordinary: [ordinary, secret],
    spaces: [space, invite],
  }));
});

test("row 44: an invite into an ordinary room of another server is in the list of rooms without a type", async () => {
  await expectListed(44, byType, [created()], ({ ordinary, secret, space }, invite) => ({
    all: [ordinary, secret, space, invite],
    ordinary: [ordinary, secret, invite],
    spaces: [space],
  }));
});
