// Receipts, typing and account data in tests of the engine: what a store would hold, and the reads that it would do.
import type { AccountDataChanges, RoomFacts } from "../../src/engine/view.ts";
import type { ExtensionData, ExtensionReads, ReadReceipt, RoomAfter } from "../../src/model/extension-reads.ts";
import type { EventId, RoomNid, UserId } from "../../src/model/ids.ts";
import type { ReadEvent } from "../../src/model/room-reads.ts";
import { BEFORE_ALL, type StreamPosition } from "../../src/model/stream-position.ts";

interface World {
  readonly position: StreamPosition;
  readonly rooms: readonly { readonly room: RoomNid; readonly timeline: readonly ReadEvent[] }[];
  nextPosition(): StreamPosition;
}

interface Room {
  readonly room: RoomNid;
}

type At<Fact> = Fact & { readonly position: StreamPosition };

const READER = "@alice:example.org";
const NO_ROOM = 0 as RoomNid;

export interface ReceiptOptions {
  readonly type?: string;
  readonly threadId?: string;
}

/** What was stored is the newest value of each key, as in the store. */
export class TestPersonal {
  readonly #world: World;
  readonly #receipts = new Map<string, At<Omit<ReadReceipt, "event">>>();
  readonly #typing = new Map<RoomNid, At<{ readonly userIds: readonly UserId[] }>>();
  readonly #accountData = new Map<
    string,
    At<{ readonly room: RoomNid; readonly type: string; readonly body: Buffer }>
  >();
  #beginning = BEFORE_ALL;
  #ts = 0;
  /** How often something was read. */
  reads = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** The process begins anew: it does not know what changed before. */
  restart(): void {
    this.#beginning = this.#world.position;
  }

  receipt(
    { room }: Room,
    userId: UserId,
    eventId: string,
    { type = "m.read", threadId = "" }: ReceiptOptions = {},
  ): void {
    this.#ts += 1;
    const receipt = { room, userId, type, threadId, eventId: eventId as EventId, tsMs: this.#ts };
    this.#receipts.set(`${room} ${userId} ${type} ${threadId}`, { ...receipt, position: this.#world.nextPosition() });
  }

  type({ room }: Room, ...userIds: readonly UserId[]): void {
    this.#typing.set(room, { userIds, position: this.#world.nextPosition() });
  }

  /** Without a room: global. */
  setAccountData(type: string, content: object, { room }: Room = { room: NO_ROOM }): void {
    const body = Buffer.from(JSON.stringify({ type, content }));
    this.#accountData.set(`${room} ${type}`, { room, type, body, position: this.#world.nextPosition() });
  }

  get facts(): Pick<RoomFacts, "receiptsAt" | "typingAt" | "ephemeralNear"> {
    const receiptsAt = (room: RoomNid) =>
      this.#newest([...this.#receipts.values()].filter((each) => each.room === room));
    const typingAt = (room: RoomNid) => this.#newest([this.#typing.get(room) ?? { position: BEFORE_ALL }]);
    const near = (room: RoomNid) => Math.max(receiptsAt(room), typingAt(room)) as StreamPosition;
    const neighbour = (room: RoomNid) => (room % 2 === 0 ? room + 1 : room - 1) as RoomNid;
    return {
      receiptsAt,
      typingAt,
      ephemeralNear: (room) => Math.max(near(room), near(neighbour(room))) as StreamPosition,
    };
  }

  get accountDataChanges(): AccountDataChanges {
    const all = [...this.#accountData.values()];
    const at = (room: RoomNid) => this.#newest(all.filter((each) => each.room === room));
    return { globalAt: at(NO_ROOM), newestAt: this.#newest(all), at };
  }

  #newest(facts: readonly { readonly position: StreamPosition }[]): StreamPosition {
    return Math.max(this.#beginning, ...facts.map(({ position }) => position)) as StreamPosition;
  }

  read(
    { accountData, receipts, typing }: ExtensionReads,
    to: StreamPosition,
  ): Pick<ExtensionData, "accountData" | "receipts" | "typing"> {
    if (accountData !== undefined || receipts !== undefined || typing !== undefined) this.reads += 1;
    const isNew = ({ after }: Pick<RoomAfter, "after">, position: StreamPosition) =>
      after === undefined || (position > after && position <= to);
    const { global, rooms = [] } = accountData ?? {};
    const keys = [...(global === undefined ? [] : [{ room: NO_ROOM, ...global }]), ...rooms];
    return {
      accountData: keys.flatMap((key) =>
        [...this.#accountData.values()]
          .filter(({ room, position }) => room === key.room && isNew(key, position))
          .map(({ room, type, body }) => ({ room: room === NO_ROOM ? undefined : room, type, body })),
      ),
      receipts: this.#readReceipts(receipts, to),
      typing: (typing ?? []).flatMap((key) => {
        const known = this.#typing.get(key.room);
        return known !== undefined && isNew(key, known.position) ? [{ room: key.room, userIds: known.userIds }] : [];
      }),
    };
  }

  #readReceipts(reads: ExtensionReads["receipts"], to: StreamPosition): readonly ReadReceipt[] {
    if (reads === undefined) return [];
    const all = [...this.#receipts.values()];
    const inRoom = (room: RoomNid) => all.filter((each) => each.room === room);
    const timeline = (room: RoomNid) => this.#world.rooms.find((each) => each.room === room)?.timeline ?? [];
    const placed = (receipt: (typeof all)[number]): ReadReceipt => ({
      ...receipt,
      event: timeline(receipt.room).find(({ eventId }) => eventId === receipt.eventId),
    });
    const bare = (receipt: (typeof all)[number]): ReadReceipt => ({ ...receipt, event: undefined });
    return [
      ...reads.own.flatMap((room) => inRoom(room).filter(({ userId }) => userId === READER)).map(bare),
      ...reads.onEvents
        .flatMap(({ room, eventId }) => inRoom(room).filter((each) => each.eventId === eventId))
        .map(bare),
      ...reads.onNewest.flatMap(({ room, events }) => {
        const newest = new Set(
          timeline(room)
            .slice(-events)
            .map(({ eventId }) => eventId),
        );
        return inRoom(room)
          .filter(({ eventId }) => newest.has(eventId))
          .map(placed);
      }),
      ...reads.changed.flatMap(({ room, after }) =>
        inRoom(room)
          .filter(({ position }) => position > after && position <= to)
          .map(placed),
      ),
    ];
  }
}
