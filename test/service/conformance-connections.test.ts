// Rows of the conformance table about how long a `pos` holds (docs/concepts/connections.md).
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { PgBoss } from "pg-boss";
import type { DeviceId, UserNid } from "../../src/model/ids.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { createSecrets } from "../../src/store/secrets.ts";
import { PosCodec } from "../../src/sync/pos.ts";
import { roomIdsIn, roomIn, timelineOf } from "../e2e/conformance/answer.ts";
import type { Person } from "../e2e/conformance/person.ts";
import { World } from "../e2e/conformance/world.ts";
import { until } from "../support/intake-run.ts";
import type { JsonObject } from "../support/room-life/api.ts";
import { type ScriptedTarget, SECRET, startScriptedTarget } from "../support/scripted-target.ts";

const UNKNOWN_POS = [400, "M_UNKNOWN_POS"];

let target: ScriptedTarget;
let boss: PgBoss;

beforeAll(async () => {
  target = await startScriptedTarget();
  boss = new PgBoss({ connectionString: target.db.url, supervise: false, schedule: false, migrate: false });
  await boss.start();
});
afterAll(async () => {
  await boss.stop({ graceful: false });
  await target[Symbol.asyncDispose]();
});

const allRooms = (last = 99): JsonObject => ({ lists: { all: { ranges: [[0, last]], timeline_limit: 20 } } });

/** So long ago the user's connections were used last. */
const leaveUnused = async ({ id }: Person, interval: string) => {
  const text = `UPDATE connections SET used_at = now() - $2::interval
                 WHERE user_nid = (SELECT user_nid FROM users WHERE user_id = $1) RETURNING connection`;
  expect(await target.db.query({ text, values: [id, interval] })).toHaveLength(1);
};
/** The product's own daily job. */
const expireConnections = async () => {
  const [id] = (await boss.insert("expire-connections", [{}], { returnId: true })) ?? [];
  await until(async () => {
    const [job] = await boss.findJobs("expire-connections", { id: id ?? "" });
    return job?.state === "completed";
  });
};

/** What was given when so much more was stored. */
const aheadOf = async (pos: string, { session, id }: Person, ms: number): Promise<string> => {
  const codec = new PosCodec(createSecrets(SECRET).posKey);
  const text = "SELECT user_nid FROM users WHERE user_id = $1";
  const [row] = await target.db.query<{ user_nid: UserNid }>({ text, values: [id] });
  const key = { userNid: row?.user_nid ?? (0 as UserNid), deviceId: session.deviceId as DeviceId, connId: "" };
  const known = codec.decode(pos, key);
  if (known === undefined) throw new Error("the pos is not one of this product");
  return codec.encode({ ...known, stream: ((Date.now() + ms) * 1000) as StreamPosition }, key);
};

test("row 2: a pos ahead of all that is stored, as from before an older database came back, is unknown at once, and costs no connection", async () => {
  const [user, other] = await new World(target, 2).pair();
  const roomId = await user.publicRoom();
  await other.join(roomId);
  const { pos } = await user.sync(allRooms());
  for (const aheadMs of [2_000, 3_600_000]) {
    const refusal = await user.refusal(allRooms(), { pos: await aheadOf(pos, user, aheadMs) });
    expect(refusal).toEqual([400, "M_UNKNOWN_POS"]);
  }
  const sent = await other.say(roomId);
  expect(timelineOf(await user.sync(allRooms(), { pos }), roomId)).toEqual([sent]);
});

test("row 24: a pos holds however many rooms have changed since it was used, hours ago or weeks", async () => {
  const user = await new World(target, 24).user();
  // Synapse gives a connection up when more than a hundred have changed.
  const rooms = (await Promise.all(Array.from({ length: 101 }, () => user.room()))).toSorted();
  const request = allRooms(rooms.length - 1);
  let answer = await user.sync(request);
  expect(roomIdsIn(answer)).toEqual(rooms);
  for (const interval of ["3 hours", "29 days"]) {
    await Promise.all(rooms.map((roomId) => user.say(roomId)));
    await leaveUnused(user, interval);
    await expireConnections();
    answer = await user.sync(request, { pos: answer.pos });
    expect(roomIdsIn(answer)).toEqual(rooms);
    expect(rooms.filter((roomId) => roomIn(answer, roomId).initial !== undefined)).toEqual([]);
  }
});

test("row 25: a pos that is used now and then holds for ever, one that was not used for 30 days is unknown", async () => {
  const user = await new World(target, 25).user();
  const roomId = await user.room();
  let { pos } = await user.sync(allRooms());
  for (let round = 0; round < 2; round++) {
    await leaveUnused(user, "29 days 23 hours");
    await expireConnections();
    const message = await user.say(roomId);
    const answer = await user.sync(allRooms(), { pos });
    expect([roomIn(answer, roomId).initial, timelineOf(answer, roomId)]).toEqual([undefined, [message]]);
    pos = answer.pos;
  }
  await leaveUnused(user, "30 days 1 second");
  await expireConnections();
  // A minute after its last request the process would ask the database; here it does since it knows of none.
  await target.startsAnew();
  expect(await user.refusal(allRooms(), { pos })).toEqual(UNKNOWN_POS);
  expect(roomIn(await user.sync(allRooms()), roomId).initial).toBe(true);
});

test("row 78: a pos whose connection is gone from the database is unknown, and a request without one begins anew", async () => {
  const user = await new World(target, 78).user();
  const roomId = await user.room();
  const { pos } = await user.sync(allRooms());
  await target.db.query({ text: "DELETE FROM connections", values: [] });
  await user.say(roomId);
  expect(await user.refusal(allRooms(), { pos })).toEqual(UNKNOWN_POS);
  expect(roomIn(await user.sync(allRooms()), roomId).initial).toBe(true);
});
