import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { ChangeStream } from "../../src/model/change.ts";
import { FencedError } from "../../src/store/device-stream.ts";
import { claimDevices, releaseDevice } from "../../src/store/devices.ts";
import { IntakeStage, type StageDevice } from "../support/intake-stage.ts";
import { ALICE, create, inRoom, member, message, messages } from "../support/v2-events.ts";

let stage: IntakeStage;
let device: StageDevice;
let before: number;
let made = 0;

beforeAll(async () => {
  stage = await IntakeStage.open();
});
afterAll(() => stage[Symbol.asyncDispose]());
beforeEach(async () => {
  made += 1;
  device = await stage.device(ALICE, `DEVICE${made}`);
  await stage.respond(device, {});
  before = stage.writer.position;
});

const row = async () => {
  const [found] = await stage.rows<{ since: string; one_time_keys: Buffer; fallback_keys: Buffer; is_synced: boolean }>(
    "SELECT since, one_time_keys, fallback_keys, is_synced FROM devices WHERE device_nid = $1",
    device.claim.deviceNid,
  );
  const keys = [found?.one_time_keys, found?.fallback_keys].map((value) => value?.toString());
  return { since: found?.since, isSynced: found?.is_synced, keys };
};
const streams = async () => (await stage.changes(before)).map(({ stream }) => stream);
const join = (roomId: string, room: object) => ({ rooms: { join: { [roomId]: room } } });

describe("to-device messages", () => {
  const inbox = () =>
    stage.rows<{ sequence: number; body: Buffer }>(
      "SELECT sequence, body FROM to_device_messages WHERE device_nid = $1 ORDER BY sequence",
      device.claim.deviceNid,
    );
  const messageOf = (n: number) => ({ type: "m.test", sender: ALICE, content: { n } });
  const tell = (...numbers: number[]) => stage.respond(device, { to_device: { events: numbers.map(messageOf) } });

  test("keep their order, and their sequence grows from response to response", async () => {
    const startedUs = Date.now() * 1000;
    await tell(1, 2, 3);
    await tell(4, 5);
    const stored = await inbox();
    expect(stored.map(({ body }) => JSON.parse(String(body)).content.n)).toEqual([1, 2, 3, 4, 5]);
    const sequences = stored.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(sequences[0]).toBeGreaterThan(startedUs - 60_000_000);
    expect(await streams()).toEqual([ChangeStream.toDevice, ChangeStream.toDevice]);
    expect((await stage.changes(before))[0]).toMatchObject({ user: ALICE, device: device.claim.deviceId });
  });

  test("go on above everything ever issued, when the messages are gone and when the clock was set back", async () => {
    await tell(1);
    const aheadUs = (Date.now() + 3_600_000) * 1000;
    await stage.rows("UPDATE to_device_heads SET sequence = $1 WHERE device_nid = $2", aheadUs, device.claim.deviceNid);
    await stage.rows("DELETE FROM to_device_messages WHERE device_nid = $1", device.claim.deviceNid);
    await tell(2, 3);
    expect((await inbox()).map(({ sequence }) => sequence)).toEqual([aheadUs + 1, aheadUs + 2]);
  });
});

describe("device lists", () => {
  const log = () =>
    stage.rows(
      "SELECT user_id, has_left FROM device_list_log WHERE device_nid = $1 ORDER BY batch, user_id",
      device.claim.deviceNid,
    );

  test("are logged response by response; who is in both has changed", async () => {
    await stage.respond(device, {
      device_lists: { changed: ["@a:test", "@b:test", "@a:test"], left: ["@b:test", "@c:test"] },
    });
    await stage.respond(device, { device_lists: { left: ["@a:test"] } });
    expect(await log()).toEqual([
      { user_id: "@a:test", has_left: false },
      { user_id: "@b:test", has_left: false },
      { user_id: "@c:test", has_left: true },
      { user_id: "@a:test", has_left: true },
    ]);
    expect(await streams()).toEqual([ChangeStream.deviceLists, ChangeStream.deviceLists]);
  });
});

describe("keys", () => {
  const tell = (count?: object, types?: string[]) =>
    stage.respond(device, {
      ...(count === undefined ? {} : { device_one_time_keys_count: count }),
      ...(types === undefined ? {} : { device_unused_fallback_key_types: types }),
    });

  test("are kept as they came, and news only when they differ", async () => {
    await tell({ a: 5 }, ["a"]);
    expect((await row()).keys).toEqual(['{"a":5}', '["a"]']);
    await tell({ a: 5 }, ["a"]);
    await tell();
    expect((await row()).keys).toEqual(['{"a":5}', '["a"]']);
    expect(await streams()).toEqual([ChangeStream.keys]);
    await tell({ a: 4 });
    await tell(undefined, []);
    expect((await row()).keys).toEqual(['{"a":4}', "[]"]);
    expect(await streams()).toEqual([ChangeStream.keys, ChangeStream.keys, ChangeStream.keys]);
  });
});

describe("where a stream goes on", () => {
  test("moves with every response, and those who wait for a first sync or a catch-up are told", async () => {
    const other = await stage.device(ALICE, `OTHER${made}`);
    await stage.respond(other, {}, { nextBatch: "one" });
    await stage.respond(other, {}, { nextBatch: "two" });
    await stage.respond(other, {}, { nextBatch: "three", poll: "catch-up" });
    const synced = { stream: ChangeStream.synced, user: ALICE, device: `OTHER${made}` };
    // The first sync is whole: what was announced ahead of it is forgotten.
    const whole = { stream: ChangeStream.membership, user: ALICE, device: null };
    expect(await stage.changes(before)).toMatchObject([whole, synced, synced]);
    const [stored] = await stage.rows("SELECT since, is_synced FROM devices WHERE device_id = $1", `OTHER${made}`);
    expect(stored).toEqual({ since: "three", is_synced: true });
  });

  test("moves only together with what came: a response that was not stored to its end moves nothing", async () => {
    const { since } = device;
    const body = {
      next_batch: "next",
      to_device: { events: [{ type: "m.test", content: {} }] },
      rooms: { join: { [`!half${made}:test`]: inRoom([create(`$create${made}`), message(`$m${made}`)]) } },
    };
    const intake = stage.intake(device);
    await intake.write(Buffer.from(JSON.stringify(body)));
    // The process ends here.
    expect(await row()).toMatchObject({ since });
    expect(await stage.changes(before)).toEqual([]);
    await stage.respond(device, body, { nextBatch: "next" });
    expect(await row()).toMatchObject({ since: "next" });
    expect(await streams()).toEqual([ChangeStream.room, ChangeStream.membership, ChangeStream.toDevice]);
  });

  test("stays where it was when a long response broke off, and its repetition stores everything once", async () => {
    const rooms = Object.fromEntries(
      Array.from({ length: 30 }, (_, n) => {
        const events = messages(...Array.from({ length: 60 }, (__, m) => `$m${m}.${n}.${made}`));
        return [
          `!long${n}.${made}:test`,
          inRoom([create(`$create.${n}.${made}`), member(`$in.${n}.${made}`, ALICE, "join"), ...events]),
        ];
      }),
    );
    const body = {
      to_device: { events: [{ type: "m.test", content: {} }] },
      rooms: { join: rooms },
      next_batch: `end${made}`,
    };
    const text = JSON.stringify(body);
    const intake = stage.intake(device);
    const { since } = device;
    await intake.write(Buffer.from(text.slice(0, Math.floor(text.length * 0.9))));
    const count = async () =>
      (
        await stage.rows(
          "SELECT count(*)::int AS count FROM rooms WHERE room_id LIKE $1 AND is_complete",
          `!long%.${made}:test`,
        )
      )[0]?.count;
    // What has come is visible already.
    const early = Number(await count());
    expect(early).toBeGreaterThan(10);
    expect(early).toBeLessThan(30);
    expect(await row()).toMatchObject({ since });
    await stage.respond(device, body, { pieceBytes: 10_000, nextBatch: `end${made}` });
    expect(await count()).toBe(30);
    const [events] = await stage.rows(
      "SELECT count(*)::int AS count FROM events WHERE event_id LIKE $1",
      `$m%.${made}`,
    );
    expect(events).toEqual({ count: 1_800 });
    expect(await row()).toMatchObject({ since: `end${made}` });
    expect((await streams()).filter((stream) => stream === ChangeStream.toDevice)).toHaveLength(1);
    expect(stage.stored.slice(-3)).toEqual(["bulk", "bulk", "live"]);
  });
});

describe("a poller that lost its device", () => {
  const takeOver = async () => {
    await releaseDevice(stage.db, device.claim);
    const deviceNid = device.claim.deviceNid;
    const [claim] = await claimDevices(stage.db, 2, { idleAfterMs: 60_000, device: deviceNid, limit: 1 });
    return { ...device, claim: claim! };
  };

  test("writes nothing, be it a whole response or a part of one", async () => {
    const successor = await takeOver();
    const room = inRoom([create(`$fenced${made}`)]);
    const body = { ...join(`!fenced${made}:test`, room), to_device: { events: [{ type: "m.test", content: {} }] } };
    await expect(stage.respond(device, body)).rejects.toThrow(FencedError);
    const many = messages(...Array.from({ length: 1_100 }, (_, n) => `$fenced${n}.${made}`));
    await expect(stage.respond(device, join(`!fenced${made}:test`, inRoom(many)))).rejects.toThrow(FencedError);
    expect(await stage.changes(before)).toEqual([]);
    expect(await stage.room(`!fenced${made}:test`)).toBeUndefined();
    await stage.respond(successor, body);
    expect(await streams()).toEqual([ChangeStream.room, ChangeStream.membership, ChangeStream.toDevice]);
  });

  test("does not take others with it that are stored in the same transaction", async () => {
    const other = await stage.device(ALICE, `OTHER${made}`);
    await takeOver();
    const first = stage.respond(other, {}, { nextBatch: "first" });
    const fenced = stage.respond(device, join(`!fenced${made}:test`, inRoom([create(`$fenced${made}`)])));
    fenced.catch(() => undefined);
    await first;
    const second = stage.respond(other, join(`!fine${made}:test`, inRoom([create(`$fine${made}`)])));
    await expect(fenced).rejects.toThrow(FencedError);
    await second;
    expect(await stage.room(`!fine${made}:test`)).toMatchObject({ is_complete: true });
  });

  test("is one whose stream has gone on without it, too", async () => {
    const twin = { ...device };
    await stage.respond(device, {});
    await expect(stage.respond(twin, {})).rejects.toThrow(FencedError);
  });
});
