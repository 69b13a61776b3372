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

const delta = (more: Partial<ConnectionDelta> = {}): ConnectionDelta => ({
  rooms: new Map(),
  sentMembers: new Map(),
  staleMembers: new Map(),
  subscriptions: undefined,
  ...more,
});

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
  for (const { rooms, lazyMembers, subscriptions } of copies) {
    expect({ rooms, lazyMembers, subscriptions }).toEqual({
      rooms: state.rooms,
      lazyMembers: state.lazyMembers,
      subscriptions: state.subscriptions,
    });
  }
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
