import type { Bench, RowMeasure } from "../bench.ts";
import { openBenchDatabase } from "../bench-database.ts";
import { coldUser, OWNER, tokenOf, userId, WINDOW_ROOMS } from "../population.ts";
import type { Row } from "../row.ts";
import { quantile } from "../statistics.ts";
import { call, keptConnections, patientSync, type SyncCall } from "../sync-client.ts";
import { loopbackFloorMs } from "./floor.ts";

/** Requests for windows of other rooms, before those of the users. */
const ROOMS_ONLY_WINDOWS = 60;
/** What the budget gives an answer whose rooms have to be read, in milliseconds. */
const ROOMS_COLD = { p50: 8, p99: 30 };
/** And the reading of a user's list, for every thousand rooms (docs/decisions/0004-the-list-of-a-cold-answer-counts-apart.md). */
const LIST_MS_PER_1000_ROOMS = 1.9;
/** So that none of them exceeds its rate. */
const DEVICES = 4;

type Window = readonly [number, number];

const windowAt = (index: number): Window => [index * WINDOW_ROOMS, (index + 1) * WINDOW_ROOMS - 1];

/** First requests of users of whom nothing is in the memory of the process: neither their lists nor the rooms they see. */
export const initialCold: RowMeasure = {
  key: "initial-cold",
  async measure(bench) {
    const { service, sizes, cluster } = bench;
    const users = Array.from({ length: sizes.coldUsers }, (_, index) => coldUser(index));
    await readOnce(bench, users);
    await shareRooms(bench, users);
    await service.startApart();
    const warm = await measureUsers(bench, users, async () => {});
    const databaseCold = await measureUsers(bench, users.slice(0, sizes.warmUpUsers + sizes.databaseColdUsers), () =>
      cluster.dropPages(bench.databaseUrl),
    );
    return [...rowsOf(bench, warm), rowOfColdDatabase(databaseCold), await justStarted(bench)];
  },
};

interface Measured {
  /** Of a user who is in memory, with rooms that are not. */
  readonly roomsOnly: readonly number[];
  readonly times: readonly number[];
  readonly floorMs: number;
}

/** First requests to a process that has just started, once its code is compiled. */
async function measureUsers(
  { service, sizes }: Bench,
  users: readonly string[],
  beforeEach: () => Promise<void>,
): Promise<Measured> {
  await service.stop("client");
  await service.startClient();
  const agent = keptConnections(false, 1);
  const url = service.client.clientUrl;
  const roomsOnly: number[] = [];
  await patientSync({ url, token: tokenOf(OWNER, "C0"), agent, connId: "list", range: [0, 0] });
  for (let index = 0; index < ROOMS_ONLY_WINDOWS + sizes.coldWarmUps; index += 1) {
    const token = tokenOf(OWNER, `C${index % DEVICES}`);
    const range = windowAt(users.length + index);
    const { totalMs } = await patientSync({ url, token, agent, connId: "cold", range });
    if (index >= sizes.coldWarmUps) roomsOnly.push(totalMs);
  }
  const times: number[] = [];
  for (const [index, user] of users.entries()) {
    await beforeEach();
    const request = { url, token: tokenOf(user), agent, connId: "cold", range: windowAt(index) };
    const ms = await firstRequestMs(request);
    if (index >= sizes.warmUpUsers) times.push(ms);
  }
  const floorMs = await loopbackFloorMs(service.client.internalUrl);
  agent.destroy();
  return { roomsOnly, times, floorMs };
}

/** Brings the users' devices into step, and what will be asked for into the database's own memory. */
async function readOnce({ service, sizes, progress }: Bench, users: readonly string[]): Promise<void> {
  progress(`initial-cold: ${users.length} users`);
  const agent = keptConnections(false, 1);
  const url = service.client.clientUrl;
  for (const user of users) await patientSync({ url, token: tokenOf(user), agent, connId: "cold", range: [0, 0] });
  for (let index = 0; index < users.length + sizes.coldWarmUps + ROOMS_ONLY_WINDOWS; index += 1) {
    await patientSync({
      url,
      token: tokenOf(OWNER, `C${index % DEVICES}`),
      agent,
      connId: "cold",
      range: windowAt(index),
    });
  }
  agent.destroy();
}

/** Gives users the memberships that the owner has; each one's stand together, as after an own first sync. */
async function shareRooms({ databaseUrl }: Bench, users: readonly string[]): Promise<void> {
  await using db = openBenchDatabase(databaseUrl);
  const columns = `room, membership, sender, nid, batch, since_batch, since_order_key, heroes, notification_count,
    highlight_count, counts_batch, heroes_batch`;
  await db.query({
    text: `
      INSERT INTO memberships (user_nid, ${columns})
      SELECT u.user_nid, ${columns.replaceAll(/\w+/g, "m.$&")}
        FROM users AS u, memberships AS m JOIN users AS o ON o.user_nid = m.user_nid
       WHERE o.user_id = $1 AND u.user_id = ANY($2)
       ORDER BY u.user_nid, m.ctid
          ON CONFLICT DO NOTHING`,
    values: [userId(OWNER), users.map(userId)],
  });
  await db.query({ text: "VACUUM (ANALYZE) memberships" });
  // Lest the database writes what was copied while the answers are measured.
  await db.query({ text: "CHECKPOINT" });
  // The database is warm, as one is that has answered before: a read of the whole table would not keep it.
  const own = "SELECT count(heroes) FROM memberships WHERE user_nid = (SELECT user_nid FROM users WHERE user_id = $1)";
  for (const user of users) await db.query({ text: own, values: [userId(user)] });
}

/** The token is made known first, without the device's data: how long the homeserver takes to say whose it is does not count. */
async function firstRequestMs(request: SyncCall): Promise<number> {
  const { url, token, agent } = request;
  await call({ url: `${url}/_matrix/client/v3/sync?timeout=0&since=s0`, token, agent });
  return (await patientSync(request)).totalMs;
}

function rowsOf({ sizes }: Bench, { times, roomsOnly, floorMs }: Measured): Row[] {
  const figures = (values: readonly number[], listMs: number) => [
    { name: "p50", value: quantile(values, 0.5) - floorMs, unit: "ms", target: ROOMS_COLD.p50 + listMs },
    { name: "p99", value: quantile(values, 0.99) - floorMs, unit: "ms", target: ROOMS_COLD.p99 + listMs },
  ];
  const less = `Less ${floorMs.toFixed(2)} ms of a GET /live.`;
  return [
    {
      key: "initial-rooms-cold",
      quantity: "initial answer, the user's list in memory, the rooms not",
      figures: figures(roomsOnly, 0),
      how:
        `${roomsOnly.length} windows of ${WINDOW_ROOMS} rooms that nobody asked for since the process started, and that the ` +
        `database has read before; after ${sizes.coldWarmUps} others, so that the code is compiled. ${less}`,
    },
    {
      key: "initial-cold",
      quantity: "initial answer, nothing in memory, the database warm",
      figures: figures(times, (LIST_MS_PER_1000_ROOMS * sizes.ownerRooms) / 1000),
      how:
        `The first request of each of ${times.length} users who share the ${sizes.ownerRooms.toLocaleString("en")} rooms ` +
        `(memberships copied in SQL), each with a window that nobody asked for since the process started; p99 is the ` +
        `slowest. The process had answered the requests of the row above and those of ${sizes.warmUpUsers} such users, and knew the ` +
        `tokens. ${less}`,
    },
  ];
}

const rowOfColdDatabase = ({ times, floorMs }: Measured): Row => ({
  key: "initial-database-cold",
  quantity: "initial answer, nothing in memory, the database cold",
  figures: [
    { name: "p50", value: quantile(times, 0.5) - floorMs, unit: "ms", target: undefined },
    { name: "p99", value: quantile(times, 0.99) - floorMs, unit: "ms", target: 100 },
  ],
  how:
    `As the row above, of ${times.length} users with a process started anew; before each, PostgreSQL dropped every page that it ` +
    "had in memory, and the kernel those of the database's files (posix_fadvise). What the disk, or the host of a virtual one, " +
    `keeps in memory it still had, and PostgreSQL's processes their plans. p99 is the slowest. Less ${floorMs.toFixed(2)} ms of a ` +
    "GET /live.",
});

/** The first request of a process. */
async function justStarted({ service, sizes, progress }: Bench): Promise<Row> {
  const times: number[] = [];
  for (let index = 0; index < sizes.restarts; index += 1) {
    progress(`initial-cold: start ${index + 1} of ${sizes.restarts}`);
    await service.stop("client");
    await service.startClient();
    const agent = keptConnections(false, 1);
    const url = service.client.clientUrl;
    times.push(await firstRequestMs({ url, token: tokenOf(OWNER, "C0"), agent, connId: "cold", range: windowAt(0) }));
    agent.destroy();
  }
  return {
    key: "initial-started",
    quantity: "initial answer, first request of a process",
    figures: [
      { name: "p50", value: quantile(times, 0.5), unit: "ms", target: undefined },
      { name: "p99", value: quantile(times, 0.99), unit: "ms", target: undefined },
    ],
    how: `The first sync request after each of ${times.length} starts of the serving process, whose code has not run yet.`,
  };
}
