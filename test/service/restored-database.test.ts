// An older database comes back while clients and the homeserver go on from where they are.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { dumpDatabase } from "../support/database.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { until } from "../support/program.ts";
import { startWholeService } from "../support/whole-service.ts";

const LIMIT_MS = 90_000;

interface Answer {
  readonly pos: string;
  readonly errcode?: string;
  readonly extensions: {
    readonly to_device: { readonly next_batch: string; readonly events: readonly { content: { n: number } }[] };
    readonly e2ee: { readonly device_lists?: { readonly changed: readonly string[] } };
  };
}

/** The connection of a device that keeps what it was told. */
class Device {
  pos: string | undefined;
  since: string | undefined;
  readonly numbers: number[] = [];
  readonly changed = new Set<string>();
  /** Messages by their sequences, also those in answers that were lost. */
  readonly issued = new Map<number, number>();
  readonly robot: Robot;

  constructor(robot: Robot) {
    this.robot = robot;
  }

  async ask(): Promise<Answer> {
    const toDevice = { enabled: true, ...(this.since !== undefined && { since: this.since }) };
    const body = { conn_id: "encryption", extensions: { to_device: toDevice, e2ee: { enabled: true } } };
    const [status, json] = await service.sync<Answer>(this.robot.token, body, { pos: this.pos });
    if (json.errcode === "M_UNKNOWN_POS") {
      this.pos = undefined;
      return await this.ask();
    }
    expect([status, json]).toEqual([200, json]);
    const last = json.extensions.to_device.events.at(-1)?.content.n;
    if (last !== undefined) {
      const sequence = -Number(json.extensions.to_device.next_batch);
      expect(this.issued.get(sequence) ?? last).toBe(last);
      this.issued.set(sequence, last);
    }
    return json;
  }

  /** The answer arrives. */
  async sync(): Promise<void> {
    const { pos, extensions } = await this.ask();
    this.pos = pos;
    this.since = extensions.to_device.next_batch;
    for (const { content } of extensions.to_device.events) this.numbers.push(content.n);
    for (const user of extensions.e2ee.device_lists?.changed ?? []) this.changed.add(user);
  }

  async has(n: number): Promise<void> {
    const isHere = async () => {
      await this.sync();
      return this.numbers.includes(n);
    };
    await until(isHere, `message ${n}`);
  }

  /** Their keys changed. */
  async hears({ userId }: Robot): Promise<void> {
    const isTold = async () => {
      await this.sync();
      return this.changed.has(userId);
    };
    await until(isTold, `that keys of ${userId} changed`);
  }

  /** It is stored, and the answer with it is lost. */
  async loses(n: number): Promise<void> {
    const isTold = async () => (await this.ask()).extensions.to_device.events.some(({ content }) => content.n === n);
    await until(isTold, `message ${n}`);
    // The homeserver deletes what it gave when it is asked for more.
    await homeserver.control.untilPollsHeld(1, this.robot.userId);
  }
}

let service: Awaited<ReturnType<typeof startWholeService>>;
let homeserver: typeof service.homeserver;
let db: typeof service.db;
let product: typeof service.product;
let bob: Robot;
let phone: Device;
let tablet: Device;
let made = 0;

beforeAll(async () => {
  service = await startWholeService();
  ({ homeserver, db, product } = service);
}, LIMIT_MS);
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(async () => {
  made += 1;
  bob = await homeserver.register(`bob${made}`);
  phone = new Device(await homeserver.register(`phone${made}`));
  tablet = new Device(await homeserver.register(`tablet${made}`));
  const roomId = await bob.createRoom({
    initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
  });
  await bob.invite(roomId, phone.robot.userId);
  await phone.robot.join(roomId);
  await phone.sync();
  await tablet.sync();
});

const tell = ({ robot }: Device, n: number) => bob.sendToDevice(robot.userId, robot.deviceId, { n });

const kill = () => {
  product.killIntake();
  product.killServing();
};

const expectGrowing = (issued: ReadonlyMap<number, number>) => {
  const inOrder = [...issued].sort(([a], [b]) => a - b).map(([, n]) => n);
  expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
};

const warnings = () =>
  product.log().filter((line) => line.includes("older than what a device has") && line.includes(phone.robot.userId));

describe("what is left of it, and what the homeserver still has, is delivered, and what is gone is named", () => {
  test("when messages come before the client asks", async () => {
    await tell(tablet, 1);
    await tablet.loses(1);
    for (const n of [1, 2]) await tell(phone, n);
    await phone.has(2);
    await tell(phone, 3);
    await phone.loses(3);
    kill();
    await using dump = await dumpDatabase(db);
    await product.revive();
    await phone.has(3);
    await tell(phone, 4);
    await phone.has(4);
    await phone.sync();
    await bob.call("POST", "/keys/upload", { device_keys: keysOf(bob) });
    await phone.hears(bob);
    phone.changed.clear();
    const goneFrom = Date.now();
    await tell(phone, 5);
    await phone.loses(5);
    const goneTo = Date.now();
    kill();
    await tell(phone, 6);
    await dump.restore();
    // A restore takes longer than an answer is kept.
    await homeserver.control.forgetCachedSyncs();
    await product.revive();
    await phone.has(6);
    await phone.sync();
    await tablet.has(1);
    expect(phone.numbers).toEqual([1, 2, 3, 4, 6]);
    expect(tablet.numbers).toEqual([1]);
    await phone.hears(bob);
    expectGrowing(phone.issued);
    const [warning = ""] = warnings();
    const { from, to } = JSON.parse(warning.slice(warning.indexOf("{")));
    expect(Date.parse(from)).toBeLessThan(goneFrom);
    expect(Date.parse(to)).toBeGreaterThan(goneTo);
    expect(warnings()).toHaveLength(1);
  }, 60_000);

  test("when the client asks before anything happens", async () => {
    await tell(phone, 1);
    await phone.has(1);
    await phone.sync();
    kill();
    await using dump = await dumpDatabase(db);
    await product.revive();
    await tell(phone, 2);
    await phone.has(2);
    await tell(phone, 3);
    await phone.loses(3);
    kill();
    await dump.restore();
    // A restore takes longer than an answer is kept.
    await homeserver.control.forgetCachedSyncs();
    await product.revive();
    await phone.sync();
    expect(warnings()).toHaveLength(1);
    await tell(phone, 4);
    await phone.has(4);
    expect(phone.numbers).toEqual([1, 2, 4]);
    expectGrowing(phone.issued);
    expect(warnings()).toHaveLength(1);
  }, 60_000);
});

const keysOf = ({ userId, deviceId }: Robot) => ({
  user_id: userId,
  device_id: deviceId,
  algorithms: [],
  keys: { [`ed25519:${deviceId}`]: "another" },
});
