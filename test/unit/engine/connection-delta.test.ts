import { expect, test } from "@jest/globals";
import { DamagedBytesError } from "../../../src/engine/connection/bytes.ts";
import {
  decodeDelta,
  decodeState,
  encodeDelta,
  encodeState,
  isEmptyDelta,
} from "../../../src/engine/connection/delta.ts";
import { MutableConnectionState } from "../../../src/engine/connection/mutable-state.ts";
import type { ConnectionDelta, Told } from "../../../src/engine/connection/state.ts";
import type { StreamsTold, StreamUpTo } from "../../../src/engine/connection/streams.ts";
import type { RoomId, RoomNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { alice, bob, carol, config } from "../../support/engine.ts";

/** What Element X asks its room list for. */
const elementX = () =>
  config(
    1,
    ...["m.room.name", "m.room.encryption", "lazy", `m.room.member ${alice}`, "m.room.topic", "m.room.avatar"],
    ...["m.room.canonical_alias", "m.room.power_levels", "org.matrix.msc3401.call.member *", "m.room.join_rules"],
    ...["m.room.tombstone", "m.room.create", "m.room.history_visibility", "io.element.functional_members"],
    ...["m.space.parent *", "m.space.child *", "org.matrix.msc3672.beacon_info *"],
  );

const nid = (room: number) => room as RoomNid;
const told = (more: Partial<Told> = {}): Told => ({ upTo: "live", as: "joined", config: config(1), ...more });

const streams = (...upTo: readonly ("live" | number | undefined)[]): StreamsTold => {
  const [accountData, receipts, typing] = upTo as readonly StreamUpTo[];
  return { accountData, receipts, typing };
};

const delta = (more: Partial<ConnectionDelta> = {}): ConnectionDelta => ({
  rooms: new Map(),
  sentMembers: new Map(),
  staleMembers: new Map(),
  subscriptions: undefined,
  streams: new Map(),
  accountData: undefined,
  ...more,
});

/** Room 5, told up to 17 as joined with the config of 1 event, and Alice's member event. */
const OF_FORMAT_1 = "010111011240616c6963653a6578616d706c652e6f7267010100000105010000010501000000cf486303";

const deltas: readonly (readonly [string, ConnectionDelta])[] = [
  ["nothing", delta()],
  [
    "rooms of all kinds",
    delta({
      rooms: new Map([
        [nid(0), told()],
        [nid(5), told({ upTo: 1_766_000_000_000_000 as StreamPosition })],
        [nid(300), told({ as: "departed", config: config(20, "* *", "org.example.ü *", "* key", "lazy") })],
        [nid(2_000_000), told({ as: "stripped", upTo: Number.MAX_SAFE_INTEGER as StreamPosition })],
      ]),
    }),
  ],
  [
    "members",
    delta({
      sentMembers: new Map([
        [nid(1), new Set([alice, bob])],
        [nid(2), new Set([bob])],
      ]),
      staleMembers: new Map([[nid(1), new Set([carol])]]),
    }),
  ],
  ["no subscription any more", delta({ subscriptions: new Map() })],
  ["subscriptions", delta({ subscriptions: new Map([["!a:b" as RoomId, elementX()]]) })],
  [
    "streams of rooms, and what belongs to none",
    delta({
      streams: new Map([
        [nid(0), streams("live", "live", "live")],
        [nid(5), streams("live", 1_766_000_000_000_000, undefined)],
        [nid(300), streams(undefined, undefined, undefined)],
        [nid(301), streams("live", "live", "live")],
        [nid(2_000_000), streams(Number.MAX_SAFE_INTEGER, undefined, 1)],
      ]),
      accountData: 17 as StreamPosition,
    }),
  ],
  ["account data that is live", delta({ accountData: "live" })],
];

test.each(deltas)("a delta survives its encoding: %s", (_name, before) => {
  expect(decodeDelta(encodeDelta(before))).toEqual(before);
});

test.each(deltas)("every damaged byte and every missing byte is noticed: %s", (_name, before) => {
  const bytes = encodeDelta(before);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
    expect(() => decodeDelta(damaged)).toThrow(DamagedBytesError);
    expect(() => decodeDelta(bytes.subarray(0, at))).toThrow(DamagedBytesError);
  }
});

test("an answer of 20 rooms with one config takes less than 500 bytes", () => {
  const rooms = new Map(Array.from({ length: 20 }, (_, index) => [nid(90_000 + index), told({ config: elementX() })]));
  expect(encodeDelta(delta({ rooms })).length).toBeLessThan(200);
});

test("a delta without content is empty, one that ends all subscriptions is not", () => {
  expect(isEmptyDelta(delta())).toBe(true);
  expect(isEmptyDelta(delta({ subscriptions: new Map() }))).toBe(false);
  expect(isEmptyDelta(delta({ accountData: "live" }))).toBe(false);
  expect(isEmptyDelta(delta({ streams: new Map([[nid(1), streams("live", undefined, undefined)]]) }))).toBe(false);
});

test("a state is what its deltas make of it, and survives its encoding", () => {
  const state = new MutableConnectionState();
  for (const [, each] of deltas) state.apply(each);
  state.apply(delta({ staleMembers: new Map([[nid(1), new Set([alice])]]) }));
  state.apply(delta({ rooms: new Map([[nid(5), told({ config: elementX() })]]) }));
  expect(state.rooms.get(nid(5))).toEqual(told({ config: elementX() }));
  expect([...(state.lazyMembers.get(nid(1)) ?? [])]).toEqual([bob]);
  expect(state.subscriptions.size).toBe(1);
  const copies = [decodeState(encodeState(state)), state.clone()];
  const heldBy = (each: MutableConnectionState) => {
    const { rooms, lazyMembers, subscriptions, streams: ofRooms, owing, accountData } = each;
    return { rooms, lazyMembers, subscriptions, ofRooms, owing, accountData };
  };
  for (const copy of copies) expect(heldBy(copy)).toEqual(heldBy(state));
  expect([...state.streams.keys()]).toEqual([0, 5, 301, 2_000_000]);
  expect(state.accountData).toBe("live");
});

test("it is counted how many rooms are not live in a stream that is told of them", () => {
  const state = new MutableConnectionState();
  const owing = (more: Partial<ConnectionDelta>) => {
    state.apply(delta(more));
    return [state.owing.accountData, state.owing.receipts, state.owing.typing];
  };
  const invite = told({ as: "stripped" });
  expect(
    owing({
      rooms: new Map([
        [nid(1), told()],
        [nid(2), told()],
        [nid(3), invite],
      ]),
    }),
  ).toEqual([3, 2, 2]);
  expect(
    owing({
      streams: new Map([
        [nid(1), streams("live", "live", 17)],
        [nid(3), streams("live", undefined, undefined)],
      ]),
    }),
  ).toEqual([1, 1, 2]);
  expect(
    owing({
      streams: new Map([
        [nid(2), streams("live", "live", "live")],
        [nid(1), streams("live", "live", "live")],
      ]),
    }),
  ).toEqual([0, 0, 0]);
  expect(owing({ rooms: new Map([[nid(3), told()]]) })).toEqual([0, 1, 1]);
  expect(
    owing({
      rooms: new Map([[nid(3), told({ as: "departed" })]]),
      streams: new Map([[nid(3), streams(undefined, undefined, undefined)]]),
    }),
  ).toEqual([1, 0, 0]);
});

test("thousands of rooms that are live share one object, and take three bytes each", () => {
  const rooms = Array.from({ length: 10_000 }, (_, room) => [nid(room), streams("live", "live", "live")] as const);
  const bytes = encodeDelta(delta({ streams: new Map(rooms) }));
  expect(bytes.length).toBeLessThan(31_000);
  const state = decodeState(bytes);
  expect(new Set(state.streams.values()).size).toBe(1);
});

test("what was written before there were streams stays readable", () => {
  const bytes = Buffer.from(OF_FORMAT_1, "hex");
  expect(decodeDelta(bytes)).toEqual(
    delta({
      rooms: new Map([[nid(5), told({ upTo: 17 as StreamPosition })]]),
      sentMembers: new Map([[nid(5), new Set([alice])]]),
    }),
  );
});

test("a clone does not change with its original", () => {
  const state = new MutableConnectionState();
  state.apply(delta({ sentMembers: new Map([[nid(1), new Set([alice])]]) }));
  const copy = state.clone();
  state.apply(delta({ sentMembers: new Map([[nid(1), new Set([bob])]]), rooms: new Map([[nid(1), told()]]) }));
  expect([...(copy.lazyMembers.get(nid(1)) ?? [])]).toEqual([alice]);
  expect(copy.rooms.size).toBe(0);
});

test("equal configs of different deltas are kept as one object", () => {
  const state = new MutableConnectionState();
  for (const room of [1, 2]) {
    state.apply(decodeDelta(encodeDelta(delta({ rooms: new Map([[nid(room), told({ config: elementX() })]]) }))));
  }
  expect(state.rooms.get(nid(1))?.config).toBe(state.rooms.get(nid(2))?.config);
});
