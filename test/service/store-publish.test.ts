import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ChangeFlag, ChangeStream } from "../../src/model/change.ts";
import type { DeviceNid, RoomNid, UserNid } from "../../src/model/ids.ts";
import { streamPosition } from "../../src/model/stream-position.ts";
import { createNotifyCoalescer, NOTIFY_INTERVAL_MS } from "../../src/store/notify-coalescer.ts";
import { drawBatches, type NewChange, publishChanges } from "../../src/store/publish.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const inRoom = (batch: number, room: number): NewChange => ({
  batch,
  stream: ChangeStream.room,
  room: room as RoomNid,
  flags: ChangeFlag.activity,
});

/** Publishes one change for each room in one transaction. */
const publish = (rooms: readonly number[], receivedUs?: number, observeLock?: (seconds: number) => void) =>
  db.transaction(async (tx) => {
    const batches = await drawBatches(tx, rooms.length);
    return await publishChanges(
      tx,
      batches.map((batch, index) => inRoom(batch, rooms[index]!)),
      receivedUs,
      observeLock,
    );
  });

const head = async () => {
  const [row] = await db.query<{ position: number }>({ text: "SELECT position FROM stream_head" });
  return row!.position;
};

test("batches are drawn in growing order, and none when none are asked for", async () => {
  const batches = await db.transaction((tx) => drawBatches(tx, 3));
  expect(batches).toHaveLength(3);
  expect([...batches].sort((a, b) => a - b)).toEqual(batches);
  expect(new Set(batches).size).toBe(3);
  expect(await db.transaction((tx) => drawBatches(tx, 0))).toEqual([]);
});

test("batches that are published together follow each other without a gap, in the order given", async () => {
  const positions = await publish([5, 3, 4]);
  expect(positions).toEqual([positions[0], positions[0]! + 1, positions[0]! + 2]);
  const rows = await db.query({
    text: "SELECT room FROM changes WHERE position >= $1 ORDER BY position",
    values: [positions[0]],
  });
  expect(rows).toEqual([{ room: 5 }, { room: 3 }, { room: 4 }]);
  expect(await head()).toBe(positions[2]);
});

test("a change keeps what it is about", async () => {
  const [position] = await db.transaction(async (tx) => {
    const [batch] = await drawBatches(tx, 1);
    const { membership } = ChangeStream;
    const about = { room: 7 as RoomNid, userNid: 8 as UserNid, deviceNid: 9 as DeviceNid };
    return await publishChanges(
      tx,
      [{ batch: batch!, stream: membership, ...about, flags: ChangeFlag.history }],
      1_700_000_000_000_001,
    );
  });
  const text = "SELECT stream, room, user_nid, device_nid, flags, received_us FROM changes WHERE position = $1";
  expect(await db.query({ text, values: [position] })).toEqual([
    { stream: 2, room: 7, user_nid: 8, device_nid: 9, flags: 16, received_us: 1_700_000_000_000_001 },
  ]);
});

test("what a change is not about is left out", async () => {
  const [position] = await db.transaction(async (tx) => {
    const [batch] = await drawBatches(tx, 1);
    const change = { batch: batch!, stream: ChangeStream.toDevice, deviceNid: 9 as DeviceNid, flags: 0 };
    return await publishChanges(tx, [change], undefined);
  });
  const text = "SELECT room, user_nid, device_nid, received_us FROM changes WHERE position = $1";
  expect(await db.query({ text, values: [position] })).toEqual([
    { room: null, user_nid: null, device_nid: 9, received_us: null },
  ]);
});

test("nothing to publish draws no position and takes no lock", async () => {
  const before = await head();
  const locks: number[] = [];
  const positions = await db.transaction((tx) => publishChanges(tx, [], undefined, (seconds) => locks.push(seconds)));
  expect(positions).toEqual([]);
  expect(locks).toEqual([]);
  expect(await head()).toBe(before);
});

test("a position is the time in microseconds", async () => {
  const before = Date.now() * 1000;
  const [position] = await publish([1]);
  expect(position).toBeGreaterThanOrEqual(before - 2_000_000);
  expect(position).toBeLessThanOrEqual(Date.now() * 1000 + 2_000_000);
});

test("when the clock was set back, positions go on above the highest", async () => {
  const future = Date.now() * 1000 + 3_600_000_000;
  const before = await head();
  await db.query({ text: "UPDATE stream_head SET position = $1", values: [future] });
  expect(await publish([1, 2])).toEqual([future + 1, future + 2]);
  await db.query({ text: "DELETE FROM changes WHERE position > $1", values: [future] });
  await db.query({ text: "UPDATE stream_head SET position = $1", values: [before] });
});

test("the time spent on the lock is told, the wait for it included", async () => {
  const holding = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const first = db.transaction(
    async (tx) => {
      const batches = await drawBatches(tx, 1);
      await publishChanges(
        tx,
        batches.map((batch) => inRoom(batch, 1)),
        undefined,
      );
      holding.resolve();
      await release.promise;
    },
    { lane: "live" },
  );
  await holding.promise;
  const told: number[] = [];
  const second = publish([2], undefined, (seconds) => told.push(seconds));
  const waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7304981 AND NOT granted";
  while ((await db.query({ text: waits })).length === 0);
  const startedAt = performance.now();
  while (performance.now() - startedAt < 20) await db.query({ text: "SELECT 1" });
  expect(told).toEqual([]);
  release.resolve();
  await Promise.all([first, second]);
  expect(told).toHaveLength(1);
  expect(told[0]).toBeGreaterThan(0.02);
  // Seconds, not milliseconds.
  expect(told[0]).toBeLessThan(30);
});

/** A coalescer on a clock that moves when told. */
function coalescer() {
  const sent: string[] = [];
  let nowMs = 1000;
  let timer: { atMs: number; work: () => void } | undefined;
  const notify = async (payload: string) => void sent.push(payload);
  const after = (ms: number, work: () => void) => {
    timer = { atMs: nowMs + ms, work };
    return () => {
      timer = undefined;
    };
  };
  const subject = createNotifyCoalescer({ notify, onError: () => {}, clock: { nowMs: () => nowMs }, after });
  return {
    sent,
    subject,
    announce: (position: number) => subject.announce(streamPosition(position)),
    setClock: (ms: number) => {
      nowMs = ms;
    },
    pass(ms: number) {
      nowMs += ms;
      const due = timer;
      if (due === undefined || due.atMs > nowMs) return;
      timer = undefined;
      due.work();
    },
  };
}

test("the first position is told at once, and those that follow closely together once, the highest of them", () => {
  const { sent, announce, pass } = coalescer();
  announce(10);
  expect(sent).toEqual(["10"]);
  announce(12);
  announce(11);
  pass(NOTIFY_INTERVAL_MS - 1);
  expect(sent).toEqual(["10"]);
  pass(1);
  expect(sent).toEqual(["10", "12"]);
});

test("a position after a quiet time is told at once", () => {
  const { sent, announce, pass } = coalescer();
  announce(10);
  pass(NOTIFY_INTERVAL_MS);
  announce(11);
  expect(sent).toEqual(["10", "11"]);
});

test("a position that was told is not told again, and a lower one never", () => {
  const { sent, announce, pass } = coalescer();
  announce(10);
  pass(NOTIFY_INTERVAL_MS);
  announce(10);
  announce(9);
  pass(NOTIFY_INTERVAL_MS);
  expect(sent).toEqual(["10"]);
});

test("a clock that was set back holds up a position no longer than the interval", () => {
  const { sent, announce, pass, setClock } = coalescer();
  announce(10);
  setClock(0);
  announce(11);
  pass(NOTIFY_INTERVAL_MS);
  expect(sent).toEqual(["10", "11"]);
});

test("after its end a coalescer tells nothing", () => {
  const { sent, subject, announce, pass } = coalescer();
  announce(10);
  announce(11);
  subject[Symbol.dispose]();
  pass(NOTIFY_INTERVAL_MS);
  expect(sent).toEqual(["10"]);
});

test("a notification that fails is reported and the next one is sent", async () => {
  const failures: unknown[] = [];
  const failed = Promise.withResolvers<void>();
  let nowMs = 0;
  const subject = createNotifyCoalescer({
    notify: async () => {
      throw new Error("lost");
    },
    onError: (error) => {
      failures.push(error);
      if (failures.length === 2) failed.resolve();
    },
    clock: { nowMs: () => nowMs },
    after: () => () => {},
  });
  subject.announce(streamPosition(1));
  nowMs = NOTIFY_INTERVAL_MS;
  subject.announce(streamPosition(2));
  await failed.promise;
  expect(failures).toHaveLength(2);
});
