import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { RoomNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import type { ColumnRows } from "../../../src/store/column-selects.ts";
import { RoomColumns } from "../../../src/store/room-columns.ts";

/** More than the columns have room for at first. */
const ROOMS = 5_000;

const change = fc.record({
  room: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: ROOMS })),
  position: fc.integer({ min: 1, max: 1_000 }),
  isRead: fc.boolean(),
});

const rowsOf = (room: number, position: number, { isShown = true, activity = position } = {}): ColumnRows => ({
  rooms: Int32Array.of(room),
  roomIds: [`!room${room}:test`],
  isShown: Uint8Array.of(isShown ? 1 : 0),
  isEncrypted: Uint8Array.of(0),
  encryptionOrderKeys: new Map(),
  roomTypes: [null],
  names: [null],
  avatars: [null],
  joinedCounts: Int32Array.of(1),
  invitedCounts: Int32Array.of(0),
  activity: Float64Array.of(activity),
  bump: Float64Array.of(position),
  members: Float64Array.of(0),
  changed: Float64Array.of(position),
});

test("a room whose neighbours did not change either did not change", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), fc.integer({ min: 0, max: 1_000 }), (changes, after) => {
      const columns = new RoomColumns();
      for (const { room, position, isRead } of changes) {
        if (isRead) columns.take(rowsOf(room, position));
        else columns.apply(room as RoomNid, { position: position as StreamPosition, isActivity: true, isBump: true });
      }
      for (const { room } of changes) {
        const [changedAt, changedNear] = [columns.changedAt(room as RoomNid), columns.changedNear(room as RoomNid)];
        expect(changedNear > after || changedAt <= after).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
});

test("a change is near few rooms only", () => {
  const columns = new RoomColumns();
  for (let room = 1; room <= ROOMS; room++) columns.take(rowsOf(room, 1));
  columns.apply(2_500 as RoomNid, { position: 7 as StreamPosition, isActivity: false, isBump: false });
  const near = Array.from({ length: ROOMS }, (_, index) => columns.changedNear((index + 1) as RoomNid) === 7);
  expect(near.filter((isNear) => isNear).length).toBeLessThan(100);
});

const turn = fc.record({
  room: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: ROOMS })),
  position: fc.integer({ min: 1, max: 20 }),
  activity: fc.integer({ min: 0, max: 20 }),
  isShown: fc.boolean(),
  isRead: fc.boolean(),
});

test("what rooms say together is true of each of them", () => {
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), (turns) => {
      const columns = new RoomColumns();
      for (const { room, position, isRead, ...row } of turns) {
        if (isRead || !columns.has(room as RoomNid)) columns.take(rowsOf(room, position, row));
        else columns.apply(room as RoomNid, { position: position as StreamPosition, isActivity: true, isBump: true });
      }
      const { neighbourBits, activityNear, incompleteNear } = columns.columns;
      const incomplete = new Map<number, number>();
      for (const room of new Set(turns.map(({ room }) => room as RoomNid))) {
        const group = room >> neighbourBits;
        expect(activityNear[group]).toBeGreaterThanOrEqual(columns.activity(room));
        incomplete.set(group, (incomplete.get(group) ?? 0) + (columns.isComplete(room) ? 0 : 1));
      }
      for (const [group, count] of incomplete) expect(incompleteNear[group]).toBe(count);
    }),
    { numRuns: 1000 },
  );
});
