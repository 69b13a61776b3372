// Rows of the conformance table about rooms that the homeserver has in part only: from other servers, or of a version that it does not know.
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { type Answer, roomIdsIn, roomIn, stateKeysOf, timelineOf } from "../e2e/conformance/answer.ts";
import { World } from "../e2e/conformance/world.ts";
import type { RemoteEvent } from "../support/homeserver/start.ts";
import { untilRow } from "../support/intake-run.ts";
import type { JsonObject } from "../support/room-life/api.ts";
import { listedIn, type ScriptedTarget, startScriptedTarget, syncUntil } from "../support/scripted-target.ts";

const CREATOR = "@creator:remote.example";
const LATE = "@late:remote.example";

let target: ScriptedTarget;

beforeAll(async () => {
  target = await startScriptedTarget();
});
afterEach(() => target.homeserver.control.clearFaults());
afterAll(async () => {
  await target[Symbol.asyncDispose]();
});

const state = (type: string, content: JsonObject, stateKey = ""): RemoteEvent => ({
  type,
  stateKey,
  sender: type === "m.room.member" ? stateKey : CREATOR,
  content: { ...content },
});
/** What the state of every room begins with. */
const beginning = (version = "10") => [
  state("m.room.create", { creator: CREATOR, room_version: version }),
  state("m.room.member", { membership: "join" }, CREATOR),
  state("m.room.join_rules", { join_rule: "public" }),
];

const all = (requiredState: readonly (readonly string[])[] = [], timelineLimit = 5): JsonObject => ({
  lists: { all: { ranges: [[0, 99]], timeline_limit: timelineLimit, required_state: requiredState } },
});

test("row 69: a room of another server of which the homeserver has old messages alone has a bump_stamp above 0, and a new message raises it", async () => {
  const user = await new World(target, 69).user();
  const message = { sender: CREATOR, content: { msgtype: "m.text", body: "of old" } };
  const roomId = await target.homeserver.control.remoteRoom({ history: [...beginning(), message] });
  await user.join(roomId);
  const first = await user.sync(all());
  const { bump_stamp: before = 0, timeline = [] } = roomIn(first, roomId);
  expect(timeline.map(({ type }) => type)).toEqual([
    ...beginning().map(({ type }) => type),
    "m.room.message",
    "m.room.member",
  ]);
  expect(before).toBeGreaterThan(0);
  const sent = await target.homeserver.control.inject({ roomId, ...message });
  const answer = await user.sync(all(), { pos: first.pos });
  expect(timelineOf(answer, roomId)).toEqual([sent]);
  expect(roomIn(answer, roomId).bump_stamp).toBeGreaterThan(before);
});

test("row 74: a room of a version that Slidecar does not know is as any room, and one of which the homeserver tells nothing any more since it does not know its version breaks no request", async () => {
  const [user, newcomer] = await new World(target, 74).pair();
  const ordinary = await user.publicRoom();
  const future = await target.homeserver.control.remoteRoom({ state: beginning("org.example.future") });
  await user.join(future);
  const lost = await user.publicRoom();
  for (const roomId of [future, lost]) await newcomer.join(roomId);
  const first = await user.sync(all());
  expect(listedIn(first)).toEqual({ all: [ordinary, future, lost].toSorted() });
  await target.homeserver.control.forgetRoomVersion(lost);
  await target.comparesRooms(user);
  const compared = "SELECT FROM rooms WHERE room_id = $1 AND state_compared_at IS NOT NULL";
  await untilRow(target.db, compared, lost);
  const name = await user.session.setState(future, "m.room.name", { name: "Later" });
  const redaction = await user.session.redact(future, name, "not later");
  const message = await user.say(ordinary);
  const answer = await user.sync(all(), { pos: first.pos });
  expect(roomIdsIn(answer)).toEqual([ordinary, future].toSorted());
  expect([timelineOf(answer, ordinary), timelineOf(answer, future)]).toEqual([[message], [name, redaction]]);
  expect(listedIn(answer)).toEqual({ all: [ordinary, future, lost].toSorted() });
  // Who comes later has the room among their joined rooms, and not in v2.
  const later = await newcomer.sync(all());
  expect([listedIn(later), roomIdsIn(later)]).toEqual([{ all: [future] }, [future]]);
  expect(roomIdsIn(await newcomer.sync(all(), { pos: later.pos }))).toEqual([]);
});

interface Wanted {
  readonly state: readonly (readonly [type: string, stateKey: string])[];
  /** What there is of it while the room is in part. */
  readonly first: readonly string[];
  /** What comes when it is whole; undefined: nothing. */
  readonly later?: readonly string[];
}

test("row 96: a room of which only a part of the state has come is there whatever state is asked for, and members that are missing follow: v2 with lazy members does not tell it from a whole one", async () => {
  const { control } = target.homeserver;
  const [user, local] = await new World(target, 96).pair();
  const whole = await local.publicRoom();
  const partial = await control.remoteRoom({ state: beginning() });
  for (const roomId of [whole, partial]) await user.join(roomId);
  await local.join(partial);
  const member = (userId: string) => ["m.room.member", userId] as const;
  const told = (...users: readonly string[]) => users.map((userId) => `m.room.member ${userId}`);
  const lazy = member("$LAZY");
  const ofRoom = ["m.room.create", "m.room.join_rules"];
  const wanted: Readonly<Record<string, Wanted>> = {
    nothing: { state: [], first: [] },
    create: { state: [["m.room.create", ""]], first: ["m.room.create"] },
    lazy: { state: [["m.room.create", ""], lazy, member(local.id)], first: ["m.room.create", ...told(local.id)] },
    local: { state: [member(user.id), member(local.id)], first: told(user.id, local.id) },
    me: { state: [member("$ME"), member(local.id)], first: told(user.id, local.id) },
    "any of mine": {
      state: [
        ["*", user.id],
        ["*", "foobarbaz"],
        ["*", "@foo"],
      ],
      first: told(user.id),
    },
    everything: {
      state: [["*", "*"]],
      first: [...ofRoom, ...told(CREATOR, user.id, local.id)],
      later: told(CREATOR, LATE, user.id, local.id),
    },
    "any of theirs": {
      state: [
        ["*", LATE],
        ["*", "@foo"],
      ],
      first: [],
      later: told(LATE),
    },
    remote: {
      state: [member(user.id), member(LATE), member(local.id)],
      first: told(user.id, local.id),
      // What was known comes once more.
      later: told(LATE, local.id),
    },
    "lazy and remote": { state: [lazy, member(LATE)], first: [], later: told(LATE) },
  };
  // As long as it has not all state, the homeserver keeps who asks for it waiting.
  const held = await Promise.all(
    ["*/members", "*/state"].map((path) => control.fault({ path, user: user.id, effect: { hang: true } })),
  );
  const both = [whole, partial].toSorted();
  const lists = Object.entries(wanted).map(([key, { state: required }]) => {
    return [key, { ranges: [[0, 1]], timeline_limit: 0, required_state: required }] as const;
  });
  const listed = await user.sync({ conn_id: "lists", lists: Object.fromEntries(lists) });
  expect(listedIn(listed)).toEqual(Object.fromEntries(lists.map(([key]) => [key, both])));
  const subscribing = (key: string): JsonObject => {
    const config = { timeline_limit: 0, required_state: wanted[key]?.state ?? [] };
    return { conn_id: key, room_subscriptions: { [whole]: config, [partial]: config } };
  };
  const pos = new Map<string, string>();
  for (const [key, { first }] of Object.entries(wanted)) {
    const answer = await user.sync(subscribing(key));
    expect([key, roomIdsIn(answer), stateKeysOf(answer, partial)]).toEqual([key, both, first.toSorted()]);
    pos.set(key, answer.pos);
  }
  await control.remoteRoom({ roomId: partial, state: [state("m.room.member", { membership: "join" }, LATE)] });
  for (const fault of held) {
    await fault.release();
    await fault.remove();
  }
  for (const [key, { later }] of Object.entries(wanted)) {
    if (later === undefined) continue;
    const isThere = ({ rooms }: Answer) => rooms?.[partial]?.required_state?.some((event) => event.state_key === LATE);
    const answer = await syncUntil(user, subscribing(key), pos.get(key) ?? "", (each) => isThere(each) === true);
    expect([key, stateKeysOf(answer, partial), roomIn(answer, partial).initial]).toEqual([
      key,
      later.toSorted(),
      undefined,
    ]);
  }
});
