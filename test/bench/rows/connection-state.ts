import { decodeDelta } from "../../../src/engine/connection/delta.ts";
import type { ConnectionDelta } from "../../../src/engine/connection/state.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import type { DeviceId, UserNid } from "../../../src/model/ids.ts";
import type { Database } from "../../../src/store/database.ts";
import { Connections } from "../../../src/sync/connections.ts";
import type { RowMeasure } from "../bench.ts";
import { openBenchDatabase } from "../bench-database.ts";
import { OWNER, tokenOf, WINDOW_ROOMS } from "../population.ts";
import { quantile } from "../statistics.ts";
import { keptConnections, parseSync, patientSync, type SyncCall } from "../sync-client.ts";

/** So that no device exceeds its rate. */
const ANSWERS_PER_DEVICE = 50;
/** Of each device, before the measured ones: so that pages of the tables are in the log whole, once after the checkpoint. */
const WARM_UP_PER_DEVICE = 3;

/** What it costs to remember what a client was told, where an answer tells it something that it did not have. */
export const connectionState: RowMeasure = {
  key: "connection-state",
  async measure(bench) {
    const { client } = bench.service;
    const answers = bench.sizes.tellingAnswers;
    await using db = openBenchDatabase(bench.databaseUrl);
    const agent = keptConnections(false, 1);
    const devices = Math.ceil(answers / ANSWERS_PER_DEVICE);
    const clients = Array.from({ length: devices }, (_, index) => {
      const token = tokenOf(OWNER, `K${index}`);
      return new GrowingClient({ url: client.clientUrl, token, agent, connId: "kept" });
    });
    await db.query({ text: "CHECKPOINT" });
    for (let round = 0; round < WARM_UP_PER_DEVICE; round += 1) for (const each of clients) await each.next();
    const before = await logBytes(db);
    for (let index = 0; index < answers; index += 1) await clients[index % devices]?.next();
    const walBytes = ((await logBytes(db)) - before) / answers;
    agent.destroy();
    const delta = await lastDelta(db);
    const { times, floor } = await savingMs(db, delta, answers);
    return [
      {
        key: "connection-state",
        bare: ["append"],
        quantity: "keeping connection state, per answer",
        figures: [
          { name: "p50", value: quantile(times, 0.5) - quantile(floor, 0.5), unit: "ms", target: 0.1 },
          { name: "WAL", value: walBytes, unit: "B", target: 700 },
        ],
        how:
          `${answers} answers that each tell of one more room and of ${membersIn(delta)} members that its messages need: what the ` +
          `write-ahead log grew by in all, until the client went on from there. The time is that of the statements alone, on a ` +
          `connection of their own with what the last of these answers stored: it is appended, and what it goes on ` +
          `from is confirmed; less ${quantile(floor, 0.5).toFixed(2)} ms for as many statements that do nothing, that is one. p99 ` +
          `${quantile(times, 0.99).toFixed(2)} ms, not reduced.`,
      },
    ];
  },
};

/** A client whose window grows by one room with each request. */
class GrowingClient {
  readonly #request: Omit<SyncCall, "range">;
  #last = WINDOW_ROOMS - 1;
  #pos: string | undefined;

  constructor(request: Omit<SyncCall, "range">) {
    this.#request = request;
  }

  async next(): Promise<void> {
    const pos = this.#pos === undefined ? {} : { pos: this.#pos };
    const answer = parseSync(await patientSync({ ...this.#request, ...pos, range: [0, this.#last] }));
    this.#last += 1;
    this.#pos = answer.pos;
  }
}

async function logBytes(db: Database): Promise<number> {
  const text = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS bytes";
  const [row] = await db.query<{ bytes: number }>({ text });
  return row?.bytes ?? 0;
}

async function lastDelta(db: Database): Promise<ConnectionDelta> {
  const [row] = await db.query<{ delta: Buffer }>({
    text: "SELECT delta FROM connection_deltas ORDER BY position DESC LIMIT 1",
  });
  if (row === undefined) throw new Error("no answer stored what it told");
  return decodeDelta(row.delta);
}

const membersIn = ({ sentMembers }: ConnectionDelta): number =>
  [...sentMembers.values()].reduce((sum, users) => sum + users.size, 0);

interface Saving {
  /** What each answer spends on storing what it told, and that its client has what it goes on from. */
  readonly times: readonly number[];
  /** A statement that does nothing. */
  readonly floor: readonly number[];
}

async function savingMs(db: Database, delta: ConnectionDelta, rounds: number): Promise<Saving> {
  const connections = new Connections(db, systemClock);
  const key = { userNid: 0 as UserNid, deviceId: "bench" as DeviceId, connId: "" };
  let stands = await connections.save(key, connections.start(), delta);
  const times: number[] = [];
  const floor: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { connection, position } = defined(stands);
    const [open, openingMs] = await timed(() => connections.open(key, connection, position));
    const [saved, storingMs] = await timed(() => connections.save(key, defined(open), delta));
    const [, nothingMs] = await timed(() => db.query(NOTHING));
    times.push(openingMs + storingMs);
    floor.push(nothingMs);
    stands = saved;
  }
  return { times, floor };
}

const NOTHING = { name: "nothing", text: "SELECT $1::bigint AS nothing", values: [1] };

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const startedMs = performance.now();
  const result = await work();
  return [result, performance.now() - startedMs];
}

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nobody else uses the connection");
  return value;
}
