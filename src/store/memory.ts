import { type Change, ChangeFlag, ChangeStream } from "../model/change.ts";
import type { RoomNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import { selectColumns } from "./column-selects.ts";
import type { Queryable } from "./database.ts";
import { HotRooms, type RoomTurn } from "./hot-rooms.ts";
import { OnlineDevices } from "./online-devices.ts";
import { OnlineReaders, type OnlineReadersOptions } from "./online-readers.ts";
import { RoomColumns } from "./room-columns.ts";
import { SpaceChildren } from "./space-children.ts";

export interface MemoryOptions {
  readonly maxHotRoomBytes: number;
  readonly maxReaderBytes: number;
  readonly maxSpaceBytes: number;
  readonly maxDeviceBytes: number;
  readonly isWaitedFor: OnlineReadersOptions["isWaitedFor"];
}

/**
 * Everything that this process holds in memory of the store, equal to the store at the position up to which changes were
 * applied (or newer, where a value was read again). Nothing in it is required; all of it can be dropped and read again.
 */
export class Memory {
  readonly columns = new RoomColumns();
  readonly readers: OnlineReaders;
  readonly hotRooms: HotRooms;
  readonly spaces: SpaceChildren;
  readonly devices: OnlineDevices;
  readonly #db: Queryable;

  constructor(db: Queryable, options: MemoryOptions) {
    const { maxHotRoomBytes, maxReaderBytes, maxSpaceBytes, maxDeviceBytes, isWaitedFor } = options;
    this.#db = db;
    this.readers = new OnlineReaders(db, this.columns, { maxBytes: maxReaderBytes, isWaitedFor });
    this.hotRooms = new HotRooms(db, maxHotRoomBytes);
    this.spaces = new SpaceChildren(db, maxSpaceBytes);
    this.devices = new OnlineDevices(db, maxDeviceBytes);
  }

  /** Changes after this position are going to be prepared and applied. */
  begin(position: StreamPosition): void {
    this.columns.begin(position);
    this.readers.begin(position);
  }

  /**
   * Reads what changes brought, the last of them at `position`. Nothing shows before the result is called: that takes all in
   * at one go, so that nobody sees what a room became without seeing who left it before.
   */
  async prepare(changes: readonly Change[], position: StreamPosition): Promise<() => void> {
    const ofRooms = changes.filter(({ stream, room }) => stream === ChangeStream.room && room !== undefined);
    const [columns, applyToReaders, applyToHotRooms, applyToSpaces, applyToDevices] = await Promise.all([
      selectColumns(this.#db, this.#staleColumns(ofRooms)),
      this.readers.prepare(changes, position),
      this.hotRooms.prepare(turnsOf(ofRooms), position),
      this.spaces.prepare(withChangedState(ofRooms)),
      this.devices.prepare(changes),
    ]);
    return () => {
      if (columns !== undefined) this.columns.take(columns);
      for (const change of ofRooms) this.#applyToColumns(change);
      for (const { stream, room, position: at } of changes) {
        const ephemeral = EPHEMERAL.get(stream);
        if (ephemeral !== undefined && room !== undefined) this.columns.applyEphemeral(room, ephemeral, at);
      }
      applyToReaders();
      applyToHotRooms();
      applyToSpaces();
      applyToDevices();
    };
  }

  #staleColumns(ofRooms: readonly Change[]): ReadonlySet<RoomNid> {
    const stale = new Set<RoomNid>();
    for (const { room, flags } of ofRooms) {
      const mayDiffer = (flags & (ChangeFlag.columns | ChangeFlag.history)) !== 0;
      if (room !== undefined && (mayDiffer || !this.columns.has(room))) stale.add(room);
    }
    return stale;
  }

  #applyToColumns({ room, position, flags, receivedUs }: Change): void {
    if (room === undefined) return;
    const isHistory = (flags & ChangeFlag.history) !== 0;
    this.columns.apply(room, {
      position,
      isActivity: (flags & ChangeFlag.activity) !== 0 && !isHistory,
      isBump: (flags & ChangeFlag.bump) !== 0 && !isHistory,
      ...(receivedUs === undefined ? {} : { receivedUs }),
    });
  }
}

const EPHEMERAL: ReadonlyMap<ChangeStream, "receipts" | "typing"> = new Map([
  [ChangeStream.receipts, "receipts"],
  [ChangeStream.typing, "typing"],
]);

const withChangedState = (changes: readonly Change[]): ReadonlySet<RoomNid> =>
  new Set(
    changes.flatMap(({ room, flags }) =>
      room !== undefined && (flags & (ChangeFlag.state | ChangeFlag.history)) !== 0 ? [room] : [],
    ),
  );

function turnsOf(ofRooms: readonly Change[]): ReadonlyMap<RoomNid, RoomTurn> {
  const turns = new Map<RoomNid, { stateBatches: number[]; isHistory: boolean }>();
  for (const { room, batch, flags } of ofRooms) {
    if (room === undefined) continue;
    const turn = turns.get(room) ?? { stateBatches: [], isHistory: false };
    if ((flags & ChangeFlag.state) !== 0) turn.stateBatches.push(batch);
    turn.isHistory ||= (flags & ChangeFlag.history) !== 0;
    turns.set(room, turn);
  }
  return turns;
}
