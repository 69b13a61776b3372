import { expect, test } from "@jest/globals";
import type { DeviceId, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import type { ConnectionKey } from "../../../src/store/connections.ts";
import { PosCodec } from "../../../src/sync/pos.ts";

const codec = new PosCodec(Buffer.alloc(32, 1));
const key: ConnectionKey = { userNid: 7 as UserNid, deviceId: "PHONE" as DeviceId, connId: "main" };
const pos = { connection: 1_700_000_000_000_001, position: 1_700_000_000_000_002, stream: 1_700_000_000_000_003 };
const written = codec.encode({ ...pos, stream: pos.stream as StreamPosition }, key);

test.each([
  ["numbers as they are", pos],
  ["zeros", { connection: 0, position: 0, stream: 0 }],
  ["the largest numbers that are safe", { connection: 2 ** 53 - 1, position: 2 ** 53 - 1, stream: 2 ** 53 - 1 }],
  ["numbers around the sixth byte", { connection: 2 ** 48 - 1, position: 2 ** 48, stream: 2 ** 48 + 1 }],
])("a pos keeps %s", (_what, numbers) => {
  const text = codec.encode({ ...numbers, stream: numbers.stream as StreamPosition }, key);
  expect(codec.decode(text, key)).toEqual(numbers);
});

test("a pos needs no escape in a query and is short", () => {
  expect(written).toMatch(/^[A-Za-z0-9_-]+$/);
  expect(written.length).toBeLessThan(50);
});

test.each([
  ["another user", { ...key, userNid: 8 as UserNid }],
  ["another device", { ...key, deviceId: "LAPTOP" as DeviceId }],
  ["another conn_id", { ...key, connId: "other" }],
  ["no conn_id", { ...key, connId: "" }],
  ["a device and conn_id that together read the same", { ...key, deviceId: 'PHONE","main' as DeviceId, connId: "" }],
])("a pos is of no use to %s", (_who, other) => {
  expect(codec.decode(written, other)).toBeUndefined();
});

test("a pos with any character changed is not ours", () => {
  for (let at = 0; at < written.length; at++) {
    const changed = written.slice(0, at) + (written[at] === "A" ? "B" : "A") + written.slice(at + 1);
    expect(codec.decode(changed, key)).toBeUndefined();
  }
});

test("a pos made with another secret is not ours", () => {
  expect(new PosCodec(Buffer.alloc(32, 2)).decode(written, key)).toBeUndefined();
});

test("a pos made with a former secret is ours, for its own connection only; new ones are made with the present one", () => {
  const rotated = new PosCodec(Buffer.alloc(32, 3), [Buffer.alloc(32, 2), Buffer.alloc(32, 1)]);
  expect(rotated.decode(written, key)).toEqual(pos);
  expect(rotated.decode(written, { ...key, connId: "other" })).toBeUndefined();
  const anew = rotated.encode({ ...pos, stream: pos.stream as StreamPosition }, key);
  expect(codec.decode(anew, key)).toBeUndefined();
  expect(new PosCodec(Buffer.alloc(32, 3)).decode(anew, key)).toEqual(pos);
});

test.each([
  ["nothing", ""],
  ["a number", "12345"],
  ["a native server's pos", "123/s456_7_8_9"],
  ["a pos that goes on", `${written}AAAA`],
  ["a pos that breaks off", written.slice(0, -4)],
  ["a pos in the other base64", written.replaceAll("_", "/").replaceAll("-", "+").padEnd(48, "=")],
  ["what is no base64", "päö%00"],
  ["a long text", "A".repeat(100_000)],
])("%s is not ours", (_what, text) => {
  expect(codec.decode(text, key)).toBeUndefined();
});
