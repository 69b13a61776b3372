// Rows of the conformance table about state that state resolution takes away or puts back. v2 /sync says nothing of what is
// taken away, and of what is put back only with `state_after` (docs/limits.md).
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { Membership } from "../../src/model/membership.ts";
import { type Answer, countOf, roomIdsIn, roomIn, stateOf, type WireRoom } from "../e2e/conformance/answer.ts";
import type { Person } from "../e2e/conformance/person.ts";
import { World } from "../e2e/conformance/world.ts";
import { untilRow } from "../support/intake-run.ts";
import type { JsonObject } from "../support/room-life/api.ts";
import { listedIn, type ScriptedTarget, startScriptedTarget, syncUntil } from "../support/scripted-target.ts";

let target: ScriptedTarget;

beforeAll(async () => {
  target = await startScriptedTarget();
});
afterEach(async () => {
  await target.homeserver.control.settings({ msc4222: false });
});
afterAll(async () => {
  await target[Symbol.asyncDispose]();
});

const list = (more: JsonObject = {}): JsonObject => ({
  lists: { "foo-list": { ranges: [[0, 1]], timeline_limit: 1, required_state: [["*", "*"]], ...more } },
});
const spaces = (last: number): JsonObject => list({ ranges: [[0, last]], filters: { room_types: ["m.space"] } });

/** A state event that follows what was before the user's join wins, so that the user is in the room no more; what comes after it. */
const resetOut = async (owner: Person, user: Person, roomId: string) => {
  const { control } = target.homeserver;
  await control.resetState(roomId, "m.room.member", user.id);
  const rules = { type: "m.room.join_rules", stateKey: "", content: { join_rule: "invite" } };
  await control.inject({ roomId, sender: owner.id, ...rules, forked: true });
  await owner.session.setState(roomId, "m.room.name", { name: "not for who is out" });
};

/** The rooms that the homeserver has the user in were compared, and the departure is stored. */
const noticed = async (user: Person, roomId: string) => {
  await target.comparesRooms(user);
  await untilRow(
    target.db,
    `SELECT FROM memberships JOIN users USING (user_nid) JOIN rooms USING (room)
      WHERE user_id = $1 AND room_id = $2 AND membership = $3`,
    user.id,
    roomId,
    Membership.leave,
  );
};

/** A departure that no event tells of, and nothing of what the room was or became. */
const expectDeparture = (room: WireRoom, user: Person, bumpedBefore: number | undefined) => {
  const { required_state: state = [], bump_stamp: bumped, ...rest } = room;
  expect(state).toEqual([
    expect.objectContaining({
      type: "m.room.member",
      state_key: user.id,
      sender: user.id,
      content: { membership: "leave" },
    }),
  ]);
  expect(bumped).toBeGreaterThan(bumpedBefore ?? Number.POSITIVE_INFINITY);
  // Clients keep what they have of the room, which was theirs to see.
  expect(rest).toEqual({ notification_count: 0, highlight_count: 0 });
};

test("row 15: who is put out of a room by state resolution is told so by a leave, once: not at once, as v2 says nothing of it, but when their rooms are compared with the homeserver's", async () => {
  const [user, owner] = await new World(target, 15).pair();
  const roomId = await owner.publicRoom({ name: "Room" });
  await user.join(roomId);
  const first = await user.sync(list());
  expect(roomIn(first, roomId).initial).toBe(true);
  await resetOut(owner, user, roomId);
  const unaware = await user.sync(list(), { pos: first.pos });
  expect([roomIdsIn(unaware), countOf(unaware)]).toEqual([[], 1]);
  await noticed(user, roomId);
  const answer = await user.sync(list(), { pos: unaware.pos });
  expect([roomIdsIn(answer), countOf(answer)]).toEqual([[roomId], 1]);
  expectDeparture(roomIn(answer, roomId), user, roomIn(first, roomId).bump_stamp);
  const next = await user.sync(list(), { pos: answer.pos });
  expect([roomIdsIn(next), countOf(next)]).toEqual([[], 0]);
  expect(countOf(await user.sync(list()))).toBe(0);
});

test("row 16: who is put out of a space that was sent is told so whatever the filters, also when nobody of the server is left in it", async () => {
  const [user, owner] = await new World(target, 16).pair();
  const roomId = await owner.publicRoom({ name: "Space", creation_content: { type: "m.space" } });
  await user.join(roomId);
  const first = await user.sync(spaces(1));
  expect(listedIn(first)).toEqual({ "foo-list": [roomId] });
  await resetOut(owner, user, roomId);
  await owner.leave(roomId);
  await noticed(user, roomId);
  const answer = await user.sync(spaces(1), { pos: first.pos });
  expect(listedIn(answer)).toEqual({ "foo-list": [roomId] });
  expectDeparture(roomIn(answer, roomId), user, roomIn(first, roomId).bump_stamp);
});

test("row 17: who is put out of a space that was never sent is told so, be others of the server in it or not", async () => {
  const world = new World(target, 17);
  for (const isServerLeft of [true, false]) {
    const [user, owner] = await world.pair();
    const roomId = await owner.publicRoom({ creation_content: { type: "m.space" } });
    const top = await owner.publicRoom({ creation_content: { type: "m.space" } });
    await user.join(roomId);
    await user.join(top);
    // A first v2 sync has no order but that of the events' times, which may be the same.
    await user.sync({ conn_id: "earlier" });
    await owner.say(top);
    const first = await user.sync(spaces(0));
    expect(roomIdsIn(first)).toEqual([top]);
    await owner.say(top);
    await resetOut(owner, user, roomId);
    if (isServerLeft) await owner.leave(roomId);
    await noticed(user, roomId);
    const answer = await user.sync(spaces(1), { pos: first.pos });
    const both = [roomId, top].toSorted();
    expect([roomIdsIn(answer), listedIn(answer)]).toEqual([both, { "foo-list": both }]);
    expect(roomIn(answer, roomId).required_state).toMatchObject([
      { type: "m.room.member", state_key: user.id, content: { membership: "leave" } },
    ]);
  }
});

test("row 100: a member event that state resolution puts back to an older one is sent, though its user says nothing: at once with state_after, which v2 needs to tell it, else when the room's state is compared", async () => {
  const world = new World(target, 100);
  for (const hasStateAfter of [true, false]) {
    await target.homeserver.control.settings({ msc4222: hasStateAfter });
    const [user, owner] = await world.pair();
    const roomId = await owner.publicRoom();
    await user.join(roomId);
    const joined = await user.state(roomId, "m.room.member", user.id);
    const path = `v3/profile/${encodeURIComponent(user.id)}/displayname`;
    await user.session.call("PUT", path, { displayname: "another name" });
    const renamed = await user.state(roomId, "m.room.member", user.id);
    const lazy = list({ timeline_limit: 20, required_state: [["m.room.member", "$LAZY"]] });
    const first = await user.sync(lazy);
    expect(stateOf(first, roomId)).toContain(renamed.event_id);
    await target.homeserver.control.resetState(roomId, "m.room.member", user.id, joined.event_id);
    await owner.say(roomId);
    if (!hasStateAfter) await target.comparesRooms(user);
    const tells = ({ rooms }: Answer) =>
      rooms?.[roomId]?.required_state?.some(({ event_id: id }) => id === joined.event_id) === true;
    const answer = hasStateAfter
      ? await user.sync(lazy, { pos: first.pos })
      : await syncUntil(user, lazy, first.pos, tells);
    expect(tells(answer)).toBe(true);
    expect(roomIn(answer, roomId)).toMatchObject({ limited: false });
    expect(roomIn(answer, roomId).initial).toBeUndefined();
    expect(stateOf(await user.sync(lazy), roomId)).toContain(joined.event_id);
  }
});
