import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { ClientEvent } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";
import { answers, freePort, type RunningProgram, startProgram, until } from "../support/program.ts";

const ROOMS = 10_000;
const WINDOW = 20;
/** So many rooms are stored in 20 s on a quiet machine. Smaller: a busy one fails. */
const SYNC_LIMIT_MS = 150_000;
const LONG_MS = 240_000;

let db: TestDatabase;
let homeserver: Homeserver & AsyncDisposable;
let program: RunningProgram;
let folder: string;
let url: string;

beforeAll(async () => {
  const [clientPort, internalPort] = [await freePort(), await freePort()];
  [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver({ rooms: ROOMS, eventsPerSecond: 0 })]);
  folder = await mkdtemp(join(tmpdir(), "slidecar-window-"));
  const config = join(folder, "config.yaml");
  await writeFile(
    config,
    JSON.stringify({
      homeserver: { url: homeserver.url },
      database: { url: db.url },
      secret: "secret",
      listeners: [
        { port: clientPort, resources: ["client"] },
        { port: internalPort, resources: ["internal"] },
      ],
    }),
  );
  url = `http://127.0.0.1:${clientPort}`;
  program = startProgram(["start", "-c", config]);
  await until(() => answers(`http://127.0.0.1:${internalPort}/ready`), "ready");
}, LONG_MS);

afterAll(async () => {
  await program[Symbol.asyncDispose]();
  await homeserver[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface RoomBody {
  readonly name?: string;
  readonly heroes?: readonly unknown[];
  readonly timeline?: readonly ClientEvent[];
  readonly required_state?: readonly ClientEvent[];
}

interface Answer {
  readonly pos: string;
  readonly lists: { readonly all: { readonly count: number } };
  readonly rooms: Readonly<Record<string, RoomBody>>;
}

async function sync(token: string, query: string, range = [0, WINDOW - 1]): Promise<Answer> {
  const list = {
    ranges: [range],
    timeline_limit: 1,
    required_state: [
      ["m.room.encryption", ""],
      ["m.room.create", ""],
    ],
  };
  const response = await fetch(`${url}/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ lists: { all: list } }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

const untilSynced = (userId: string) =>
  until(
    async () => {
      const text = `
      SELECT FROM users AS u JOIN devices AS d USING (user_nid)
       WHERE u.user_id = $1 AND d.is_synced AND u.announced_joined IS NULL`;
      return (await db.query({ text, values: [userId] })).length > 0;
    },
    "synced",
    SYNC_LIMIT_MS,
  );

const completeRooms = async (userId: string): Promise<number> => {
  const text = `
    SELECT count(*)::int AS rooms FROM users JOIN memberships USING (user_nid) JOIN rooms USING (room)
     WHERE user_id = $1 AND is_complete`;
  return (await db.query<{ rooms: number }>({ text, values: [userId] }))[0]?.rooms ?? 0;
};

test(
  "while the homeserver computes a first sync without end, the first window is there, and every room when it is done",
  async () => {
    const robot = homeserver.demo();
    const initial = await homeserver.control.fault({ path: "*/sync", since: false, effect: { hang: true } });
    const first = await sync(robot.token, "timeout=0");
    expect(first.lists.all.count).toBe(ROOMS);
    const rooms = Object.entries(first.rooms);
    expect(rooms).toHaveLength(WINDOW);
    for (const [roomId, { name, heroes, timeline = [], required_state: state = [] }] of rooms) {
      expect(name ?? heroes).toBeDefined();
      const room = `/rooms/${encodeURIComponent(roomId)}`;
      const { chunk } = await robot.call("GET", `${room}/messages?dir=b&limit=1`);
      expect(timeline.map(({ event_id }) => event_id)).toEqual(
        (chunk as ClientEvent[]).map(({ event_id }) => event_id),
      );
      const isEncrypted = await robot.call("GET", `${room}/state/m.room.encryption`).then(
        () => true,
        () => false,
      );
      expect(state.map(({ type }) => type).sort()).toEqual([
        "m.room.create",
        ...(isEncrypted ? ["m.room.encryption"] : []),
      ]);
    }
    await initial.release();
    await untilSynced(robot.userId);
    expect(await completeRooms(robot.userId)).toBe(ROOMS);
    const [whole, other] = [
      await sync(robot.token, `timeout=0&pos=${first.pos}`, [0, 99]),
      await sync(robot.token, "timeout=0", [0, 99]),
    ];
    // Invites are told by the first sync alone.
    expect(whole.lists.all.count).toBeGreaterThanOrEqual(ROOMS);
    expect(whole.lists).toEqual(other.lists);
    expect(Object.keys(other.rooms)).toHaveLength(100);
  },
  LONG_MS,
);

test(
  "a user who is in no room waits for the first sync, which alone tells of invites",
  async () => {
    const guest = await homeserver.register("guest");
    const roomId = await homeserver.demo().createRoom();
    await homeserver.demo().invite(roomId, guest.userId);
    const initial = await homeserver.control.fault({ path: "*/sync", since: false, effect: { hang: true } });
    const answer = sync(guest.token, "timeout=0");
    const asked = async () => (await homeserver.control.requests("/joined_rooms", guest.userId)).length > 0;
    await until(asked, "asked for a window");
    await initial.release();
    expect(Object.keys((await answer).rooms)).toEqual([roomId]);
  },
  LONG_MS,
);
