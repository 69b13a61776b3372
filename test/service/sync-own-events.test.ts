// What a user sends, while the streams of others and of the user's devices bring it in any order.
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import type { DeviceId, DeviceNid, UserId, UserNid } from "../../src/model/ids.ts";
import { createSimplifiedMsc3575 } from "../../src/protocol/simplified-msc3575/simplified-msc3575.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import type { Login, Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";
import { type IntakeRun, startIntake, until, untilRow, want } from "../support/intake-run.ts";
import { eventsOf, roomIn, SyncWorld } from "../support/sync-world.ts";

const asked = request({ main: list([[0, 19]], config(10)) });
/** Nobody waits so long: what ends a poll is always something else. */
const LONG_MS = 30_000;

let db: TestDatabase;
let homeserver: Homeserver & AsyncDisposable;
let intake: IntakeRun;
let made = 0;

beforeAll(async () => {
  [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver()]);
  const tokens = (sealed: Buffer) => {
    // Requests seal tokens of their own, with which the pollers have nothing to do.
    if (String(sealed).includes("\0")) throw new Error("a reader's token");
    return String(sealed);
  };
  intake = await startIntake(db, homeserver.url, { openToken: tokens });
});

afterAll(async () => {
  await homeserver.control.clearFaults();
  await intake[Symbol.asyncDispose]();
  await homeserver[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

/** Alice with two devices, Bob, and two rooms of theirs. Time stands still until the test says otherwise. */
async function start() {
  made += 1;
  const clock = { ms: Date.now(), nowMs: () => clock.ms };
  const world = await SyncWorld.start(db, { clock });
  const phone = await homeserver.register(`alice${made}`, `PHONE${made}`);
  const laptop = await homeserver.login(`alice${made}`, `LAPTOP${made}`);
  const bob = await homeserver.register(`bob${made}`, `BOB${made}`);
  const rooms = await Promise.all(
    [1, 2].map(async () => {
      const roomId = await phone.createRoom({ preset: "public_chat" });
      await bob.join(roomId);
      return roomId;
    }),
  );
  const onPhone = await begun(world, phone);
  const onLaptop = await begun(world, laptop);
  const onBobs = await begun(world, bob);
  return { world, clock, phone, laptop, bob, roomId: rooms[0]!, otherRoom: rooms[1]!, onPhone, onLaptop, onBobs };
}

/** A client on one connection. */
class Client {
  readonly #world: SyncWorld;
  readonly #user: Parameters<SyncWorld["sync"]>[0];
  #pos: string | undefined;

  constructor(world: SyncWorld, user: Parameters<SyncWorld["sync"]>[0]) {
    this.#world = world;
    this.#user = user;
  }

  async sync(more: Partial<SyncRequest> = {}) {
    const answer = await this.#world.sync(this.#user, { ...asked, ...more, pos: this.#pos });
    this.#pos = answer.pos;
    const { encode } = createSimplifiedMsc3575({ maxTimelineLimit: 100, withOps: false });
    const wire = JSON.parse(Buffer.concat([...encode(answer.response, answer.pos, asked)]).toString());
    return { ...answer, wire: wire.rooms as Record<string, { timeline: { unsigned?: object }[] }> };
  }

  /** Waits for news. */
  poll() {
    return this.sync({ timeoutMs: LONG_MS });
  }

  begin() {
    this.#pos = undefined;
    return this.sync();
  }
}

async function clientOf(world: SyncWorld, { userId, deviceId }: Login): Promise<Client> {
  const row = await untilRow<{ user_nid: UserNid; device_nid: DeviceNid }>(
    db,
    `SELECT user_nid, device_nid FROM devices JOIN users USING (user_nid)
      WHERE user_id = $1 AND device_id = $2 AND is_synced`,
    userId,
    deviceId,
  );
  await homeserver.control.untilPollsHeld(1, userId);
  const user = { userNid: row.user_nid, userId: userId as UserId, deviceNid: row.device_nid };
  const client = new Client(world, { ...user, deviceId: deviceId as DeviceId });
  await world.caughtUp();
  await client.sync();
  return client;
}

/** The stream of a user's second device begins without rooms then, beside the first one's. */
async function begun(world: SyncWorld, device: Robot): Promise<Client> {
  await want(db, device);
  return await clientOf(world, device);
}

/** From now on the device's stream brings nothing. The poll that is held now is ended by an event for that device alone. */
async function hang(device: Robot) {
  const fault = await homeserver.control.fault({
    path: "*/sync",
    device: device.deviceId,
    effect: { hang: true },
  });
  await device.sendToDevice(device.userId, device.deviceId, { wake: made });
  await until(async () => (await fault.hits()) > 0);
  return fault;
}

const stored = (eventId: string) => untilRow(db, "SELECT FROM events WHERE event_id = $1", eventId);

/** The event came with the stream of a device, with a transaction id or without. */
const brought = (eventId: string, { deviceId }: Login) =>
  untilRow(
    db,
    `SELECT FROM transaction_ids JOIN events USING (nid) JOIN devices USING (device_nid)
      WHERE event_id = $1 AND device_id = $2`,
    eventId,
    deviceId,
  );

test("what a device sent comes to it once and with its transaction id, though other streams bring it first", async () => {
  const { world, phone, laptop, bob, roomId, otherRoom, onPhone, onLaptop, onBobs } = await start();
  await using _world = world;
  const stream = await hang(phone);
  const sent = await phone.send(roomId, "hello", "m.room.message", "t1");
  await stored(sent);
  await brought(sent, laptop);
  await world.caughtUp();
  // Neither Bob nor the user's other device waits for the one that sent it.
  expect(eventsOf(roomIn(await onBobs.sync(), roomId))).toEqual([sent]);
  expect(eventsOf(roomIn(await onLaptop.sync(), roomId))).toEqual([sent]);
  const polled = onPhone.poll();
  await world.waiting();
  // Another room is not kept back, and this one not told with it.
  const reply = await bob.send(otherRoom, "elsewhere");
  await stored(reply);
  await world.caughtUp();
  const { wire: elsewhere } = await polled;
  expect(Object.keys(elsewhere)).toEqual([otherRoom]);
  const again = onPhone.poll();
  await world.waiting();
  await stream.remove();
  await brought(sent, phone);
  await world.caughtUp();
  const { wire } = await again;
  expect(wire[roomId]?.timeline).toMatchObject([{ event_id: sent, unsigned: { transaction_id: "t1" } }]);
  expect(roomIn(await onPhone.sync(), roomId)).toBeUndefined();
  expect(await world.metric("slidecar_held_answers_total")).toBe(2);
});

test("what a device sent comes to it after a second without its transaction id, and never again", async () => {
  const { world, clock, phone, roomId, onPhone } = await start();
  await using _world = world;
  const stream = await hang(phone);
  const sent = await phone.send(roomId, "hello");
  await stored(sent);
  await world.caughtUp();
  const polled = onPhone.poll();
  await world.waiting();
  clock.ms += 1_000;
  // Nothing moves: the poll looks again by itself.
  const { wire } = await polled;
  expect(wire[roomId]?.timeline).toMatchObject([{ event_id: sent }]);
  expect(wire[roomId]?.timeline[0]?.unsigned ?? {}).not.toHaveProperty("transaction_id");
  await stream.remove();
  await brought(sent, phone);
  await world.caughtUp();
  expect(roomIn(await onPhone.sync(), roomId)).toBeUndefined();
});

test("what another device of the user sent comes at once, when its stream or the own one has brought it", async () => {
  const { world, phone, laptop, roomId, onPhone, onLaptop } = await start();
  await using _world = world;
  const stream = await hang(phone);
  const first = await laptop.send(roomId, "from the laptop");
  await brought(first, laptop);
  await world.caughtUp();
  expect(eventsOf(roomIn(await onPhone.sync(), roomId))).toEqual([first]);
  expect(eventsOf(roomIn(await onLaptop.sync(), roomId))).toEqual([first]);
  // Of a device that nobody polls the own stream alone says that it was another one.
  const tablet = await homeserver.login(`alice${made}`, `TABLET${made}`);
  const second = await tablet.send(roomId, "from the tablet");
  await brought(second, laptop);
  await world.caughtUp();
  expect(eventsOf(roomIn(await onLaptop.sync(), roomId))).toEqual([second]);
  const polled = onPhone.poll();
  await world.waiting();
  await stream.remove();
  await brought(second, phone);
  await world.caughtUp();
  expect(eventsOf(roomIn(await polled, roomId))).toEqual([second]);
});

test("a client that begins anew gets a room later in which it has just sent something", async () => {
  const { world, phone, roomId, otherRoom, onPhone } = await start();
  await using _world = world;
  const stream = await hang(phone);
  const sent = await phone.send(roomId, "hello", "m.room.message", "t1");
  await stored(sent);
  await world.caughtUp();
  const first = await onPhone.begin();
  expect(Object.keys(first.wire)).toEqual([otherRoom]);
  expect(first.response.lists.get("main")?.count).toBe(2);
  await stream.remove();
  await brought(sent, phone);
  await world.caughtUp();
  const { wire } = await onPhone.sync();
  expect(wire[roomId]).toMatchObject({ initial: true });
  expect(wire[roomId]?.timeline.at(-1)).toMatchObject({ event_id: sent, unsigned: { transaction_id: "t1" } });
});

test("a device whose first sync brings what the user has just sent elsewhere is told of it at once", async () => {
  made += 1;
  const nowMs = Date.now();
  await using world = await SyncWorld.start(db, { clock: { nowMs: () => nowMs } });
  const unpolled = await homeserver.register(`alice${made}`, `PHONE${made}`);
  const roomId = await unpolled.createRoom();
  const sent = await unpolled.send(roomId, "hello");
  const laptop = await homeserver.login(`alice${made}`, `LAPTOP${made}`);
  await want(db, laptop);
  const client = await clientOf(world, laptop);
  expect(eventsOf(roomIn(await client.begin(), roomId))?.at(-1)).toBe(sent);
  expect(await world.metric("slidecar_held_answers_total")).toBe(0);
});

test("what only somebody who ignores others was told comes with the next stream that attests for everybody, and no hole", async () => {
  const { world, phone, laptop, bob, roomId, onPhone, onBobs } = await start();
  await using _world = world;
  await bob.accountData("m.ignored_user_list", { ignored_users: { "@mallory:test": {} } });
  const { user_nid: bobsNid } = await untilRow<{ user_nid: number }>(
    db,
    `SELECT user_nid FROM account_data JOIN users USING (user_nid)
      WHERE user_id = $1 AND account_data.type = 'm.ignored_user_list'`,
    bob.userId,
  );
  const streams = [await hang(phone), await hang(laptop)];
  const sent = await bob.send(roomId, "hello");
  const attestedFor = (attested: number | null) =>
    untilRow(
      db,
      "SELECT FROM events JOIN chunks USING (chunk) WHERE event_id = $1 AND attested_for IS NOT DISTINCT FROM $2::int",
      sent,
      attested,
    );
  await attestedFor(bobsNid);
  await world.caughtUp();
  expect(roomIn(await onBobs.sync(), roomId)?.timeline?.limited).toBe(false);
  const polled = onPhone.poll();
  await world.waiting();
  await streams[1]?.remove();
  await attestedFor(null);
  await world.caughtUp();
  const room = roomIn(await polled, roomId);
  expect([eventsOf(room), room?.timeline?.limited]).toEqual([[sent], false]);
  await streams[0]?.remove();
});
