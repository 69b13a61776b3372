import { setTimeout as pause } from "node:timers/promises";
import type { Database } from "../../../src/store/database.ts";
import type { Bench, RowMeasure } from "../bench.ts";
import { openBenchDatabase } from "../bench-database.ts";
import { tokenOf, userId, WINDOW_ROOMS } from "../population.ts";
import { type Product, startProduct, untilOk } from "../product.ts";
import { quantile } from "../statistics.ts";
import { keptConnections, parseSync, patientSync } from "../sync-client.ts";

const USER = "starter";
/** Batches of the rows made here: above all that the program draws. */
const FIRST_BATCH = 1_000_000_000;
const FIRST_NID = 1_000_000_000;
const TIMELINE_EVENTS = 20;

/** From the start of the process to the first answer, with many rooms stored. */
export const start: RowMeasure = {
  key: "start",
  async measure(bench) {
    const { sizes, cluster, folder, upstream, profileFolder, progress } = bench;
    const databaseUrl = await cluster.create("bench_start");
    const options = { role: "all", folder, databaseUrl, homeserverUrl: upstream.url, profileFolder } as const;
    {
      await using product = await startProduct(options);
      await untilOk(`${product.internalUrl}/ready`, product);
      await firstAnswer(product);
    }
    progress(`start: ${sizes.startRooms} rooms`);
    {
      await using db = openBenchDatabase(databaseUrl);
      await fill(db, bench);
    }
    const starts: { live: number; ready: number; answer: number }[] = [];
    for (let index = 0; index < sizes.starts; index += 1) {
      await using product = await startProduct(options);
      const live = (await untilOk(`${product.internalUrl}/live`, product)) - product.spawnedMs;
      const ready = (await untilOk(`${product.internalUrl}/ready`, product)) - product.spawnedMs;
      const rooms = await firstAnswer(product);
      if (rooms !== WINDOW_ROOMS) throw new Error(`the first answer has ${rooms} rooms`);
      starts.push({ live, ready, answer: performance.now() - product.spawnedMs });
      await pause(0);
    }
    const of = (moment: "live" | "ready" | "answer") => starts.map((each) => each[moment]);
    return [
      {
        key: "start",
        quantity: `start to first answer, ${sizes.startRooms.toLocaleString("en")} rooms`,
        figures: [
          { name: "p50", value: quantile(of("answer"), 0.5), unit: "ms", target: 1_000 },
          { name: "p99", value: quantile(of("answer"), 0.99), unit: "ms", target: 1_000 },
        ],
        how:
          `From the start of the program (with its intake process; the database runs) to the last byte of the answer to a user of ` +
          `${sizes.startUserRooms.toLocaleString("en")} rooms who asks as soon as /ready is 200; ${starts.length} starts, p99 ` +
          `is the slowest. /live is 200 after ${quantile(of("live"), 0.5).toFixed(0)} ms, /ready after ` +
          `${quantile(of("ready"), 0.5).toFixed(0)} ms (medians). The rooms were made in SQL; events have only those of the user.`,
      },
    ];
  },
};

/** How many rooms it has. */
async function firstAnswer({ clientUrl }: Product): Promise<number> {
  const agent = keptConnections(false);
  const range = [0, WINDOW_ROOMS - 1] as const;
  const answer = await patientSync({ url: clientUrl, token: tokenOf(USER), agent, connId: "start", range });
  agent.destroy();
  return Object.keys(parseSync(answer).rooms ?? {}).length;
}

/** Rooms, and for the user every so many-th of them a membership, a timeline and state. */
async function fill(db: Database, { sizes }: Bench): Promise<void> {
  const { startRooms, startUserRooms } = sizes;
  const step = Math.floor(startRooms / startUserRooms);
  const statements: readonly (readonly [text: string, values: readonly unknown[]])[] = [
    [
      `INSERT INTO changes (position, batch, stream, room, flags)
       SELECT n, ${FIRST_BATCH} + n, 1, n, 0 FROM generate_series(1, $1::int) AS n`,
      [startRooms],
    ],
    [
      `INSERT INTO rooms (room, room_id, is_complete, room_version, name, joined_count, invited_count, first_order_key,
                          last_order_key, last_chunk, last_batch, activity_us, bump_us)
       OVERRIDING SYSTEM VALUE
       SELECT n, '!start' || n || ':bench.example', true, '11', 'Room number ' || n, 12, 0, 1000,
              ${TIMELINE_EVENTS} * 1000, n, ${FIRST_BATCH} + n, n, n
         FROM generate_series(1, $1::int) AS n`,
      [startRooms],
    ],
    [
      `INSERT INTO chunks (chunk, room, continues) SELECT n, n, false FROM generate_series(1, $1::int) AS n`,
      [startRooms],
    ],
    [
      `INSERT INTO memberships (user_nid, room, membership, sender, batch, since_batch)
       SELECT u.user_nid, n, 1, u.user_id, ${FIRST_BATCH} + n, ${FIRST_BATCH} + n
         FROM users AS u, generate_series($2::int, $1::int, $2::int) AS n WHERE u.user_id = $3`,
      [startRooms, step, userId(USER)],
    ],
    [
      `INSERT INTO events (nid, room, event_id, type, sender, origin_server_ts, order_key, chunk, batch, visibility, body)
       SELECT ${FIRST_NID} + n * 100 + e, n, '$start-' || n || '-' || e, 'm.room.message', '@friend:bench.example', n,
              e * 1000, n, ${FIRST_BATCH} + n, 2,
              convert_to(json_build_object('type', 'm.room.message', 'sender', '@friend:bench.example', 'origin_server_ts',
                n, 'event_id', '$start-' || n || '-' || e, 'content', json_build_object('msgtype', 'm.text', 'body',
                repeat('some words ', 40)))::text, 'UTF8')
         FROM generate_series($2::int, $1::int, $2::int) AS n, generate_series(1, ${TIMELINE_EVENTS}) AS e`,
      [startRooms, step],
    ],
    [
      `INSERT INTO events (nid, room, event_id, type, state_key, sender, origin_server_ts, batch, visibility, body)
       SELECT ${FIRST_NID} + n * 100 + 50 + t.i, n, '$state-' || n || '-' || t.i, t.type, '', '@friend:bench.example', n,
              ${FIRST_BATCH} + n, 2,
              convert_to(json_build_object('type', t.type, 'state_key', '', 'sender', '@friend:bench.example',
                'origin_server_ts', n, 'event_id', '$state-' || n || '-' || t.i, 'content', '{}'::json)::text, 'UTF8')
         FROM generate_series($2::int, $1::int, $2::int) AS n,
              unnest(ARRAY['m.room.create', 'm.room.name', 'm.room.topic', 'm.room.avatar', 'm.room.join_rules',
                           'm.room.power_levels', 'm.room.history_visibility', 'm.room.encryption'])
              WITH ORDINALITY AS t (type, i)`,
      [startRooms, step],
    ],
    [
      `INSERT INTO current_state (room, type, state_key, nid, batch)
       SELECT room, type, state_key, nid, batch FROM events WHERE state_key IS NOT NULL`,
      [],
    ],
  ];
  for (const [text, values] of statements) await db.query({ text, values: [...values] });
  await db.query({ text: "VACUUM (ANALYZE)" });
}
