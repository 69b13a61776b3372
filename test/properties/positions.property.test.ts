import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { ChangeStream } from "../../src/model/change.ts";
import type { RoomNid } from "../../src/model/ids.ts";
import { type Database, openDatabase, type Tx } from "../../src/store/database.ts";
import { drawBatches, publishChanges } from "../../src/store/publish.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";

const WRITERS = 24;
const READERS = 3;

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

/** One write transaction: how many batches, how long it dawdles between its statements, and how it ends. */
interface Write {
  readonly batches: number;
  readonly pausesMs: readonly [beforePublish: number, afterPublish: number];
  readonly end: "commit" | "rollback before publishing" | "rollback" | "crash before publishing" | "crash";
}

const write: fc.Arbitrary<Write> = fc.record({
  batches: fc.integer({ min: 1, max: 3 }),
  pausesMs: fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })),
  end: fc.oneof(
    { weight: 8, arbitrary: fc.constant("commit" as const) },
    {
      weight: 4,
      arbitrary: fc.constantFrom("rollback before publishing", "rollback", "crash before publishing", "crash"),
    },
  ),
});

const plans = fc.array(fc.array(write, { minLength: 2, maxLength: 5 }), { minLength: WRITERS, maxLength: WRITERS });

class RolledBack extends Error {}

/** The server ends the connection, as it does when the program behind it is gone. */
const crash = (tx: Tx) => tx.query({ text: "SELECT pg_terminate_backend(pg_backend_pid())" });

async function endAs(tx: Tx, end: Write["end"], phase: "before publishing" | "after publishing"): Promise<void> {
  const suffix = phase === "before publishing" ? ` ${phase}` : "";
  if (end === `rollback${suffix}`) throw new RolledBack();
  if (end === `crash${suffix}`) await crash(tx);
}

/** Runs one transaction. The positions that it got, or undefined when it did not come to its COMMIT. */
async function run(
  own: Database,
  { batches, pausesMs, end }: Write,
  room: number,
): Promise<readonly number[] | undefined> {
  const work = own.transaction(async (tx) => {
    const numbers = await drawBatches(tx, batches);
    await pause(pausesMs[0]);
    await endAs(tx, end, "before publishing");
    const about = { stream: ChangeStream.room, room: room as RoomNid, flags: 0 };
    const positions = await publishChanges(
      tx,
      numbers.map((batch) => ({ batch, ...about })),
      undefined,
    );
    await pause(pausesMs[1]);
    await endAs(tx, end, "after publishing");
    return positions;
  });
  if (end === "commit") return await work;
  await expect(work).rejects.toThrow();
  return undefined;
}

/** Runs a writer's transactions one after the other on a connection of its own. */
async function runWriter(writes: readonly Write[], room: number): Promise<number[][]> {
  await using own = openDatabase({ url: db.url, poolSize: 3, onError: () => {} });
  const published: number[][] = [];
  for (const each of writes) {
    const positions = await run(own, each, room);
    if (positions !== undefined) published.push([...positions]);
  }
  return published;
}

async function positionsAbove(from: number): Promise<number[]> {
  const text = "SELECT position FROM changes WHERE position > $1 ORDER BY position";
  return (await db.query<{ position: number }>({ text, values: [from] })).map(({ position }) => position);
}

/** Reads again and again until told to stop: what was complete up to its last position once has to stay so. */
async function watch(from: number, isOver: () => boolean): Promise<number> {
  let seen: number[] = [];
  let reads = 0;
  while (!isOver()) {
    const now = await positionsAbove(from);
    const known = now.filter((position) => position <= (seen.at(-1) ?? from));
    expect(known).toEqual(seen);
    seen = now;
    reads++;
  }
  return reads;
}

const headOf = async () =>
  (await db.query<{ position: number }>({ text: "SELECT position FROM stream_head" }))[0]!.position;

test("whoever sees a position sees all below it, whatever writers do at the same time", async () => {
  const property = fc.asyncProperty(plans, async (writers) => {
    const from = await headOf();
    let isOver = false;
    const watching = Promise.all(Array.from({ length: READERS }, () => watch(from, () => isOver)));
    const published = await Promise.all(writers.map(runWriter)).finally(() => {
      isOver = true;
    });
    for (const reads of await watching) expect(reads).toBeGreaterThan(0);
    // A writer's later transactions lie above its earlier ones, and nothing is stored but what was committed.
    for (const own of published) expect(own.flat()).toEqual(own.flat().toSorted((a, b) => a - b));
    expect(await positionsAbove(from)).toEqual(published.flat(2).toSorted((a, b) => a - b));
  });
  // Interleavings do not repeat, so a smaller plan tells nothing about the failure of a larger one.
  await fc.assert(property, { numRuns: 6, endOnFailure: true });
});

const publishOne = () => db.transaction((tx) => publishIn(tx, 1));

async function publishIn(tx: Tx, count: number): Promise<readonly number[]> {
  const batches = await drawBatches(tx, count);
  return await publishChanges(
    tx,
    batches.map((batch) => ({ batch, stream: ChangeStream.typing, flags: 0 })),
    undefined,
  );
}

test("a database restored from an older dump goes on above all that was ever issued", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (count, age) => {
        const dumped = Math.floor((await headOf()) * age);
        const issued = await db.transaction((tx) => publishIn(tx, count));
        await db.query({ text: "DELETE FROM changes WHERE position > $1", values: [dumped] });
        await db.query({ text: "UPDATE stream_head SET position = $1", values: [dumped] });
        const [next] = await publishOne();
        expect(next).toBeGreaterThan(issued.at(-1)!);
      },
    ),
    { numRuns: 50 },
  );
});

test("a clock that was set back does not take positions back", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 10 ** 9, max: 10 ** 12 }),
      fc.integer({ min: 1, max: 20 }),
      async (aheadUs, count) => {
        const before = await headOf();
        const issued = before + aheadUs;
        await db.query({ text: "UPDATE stream_head SET position = $1", values: [issued] });
        const positions = await db.transaction((tx) => publishIn(tx, count));
        expect(positions).toEqual(Array.from({ length: count }, (_, index) => issued + 1 + index));
        await db.query({ text: "DELETE FROM changes WHERE position > $1", values: [before] });
        await db.query({ text: "UPDATE stream_head SET position = $1", values: [before] });
      },
    ),
    { numRuns: 30 },
  );
});
