import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type ChunkToStart, type Place, placeBatch, type Tail } from "../../src/intake/ingest/place.ts";
import type { ChunkNid, EventId, RoomId, UserId, UserNid } from "../../src/model/ids.ts";
import { type Landmark, type Neighbour, ORDER_KEY_STEP } from "../../src/model/room-facts.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { DraftedRoom, ROOM } from "../support/drafted-room.ts";
import { inRoom, message } from "../support/v2-events.ts";

const RUNS = 1_000;

interface StoredEvent extends Neighbour {
  readonly attestedFor: UserNid | undefined;
  readonly continues: boolean;
}

/** A stored timeline: gaps between order keys, and for each event whether a chunk begins with it. */
const timeline: fc.Arbitrary<readonly StoredEvent[]> = fc
  .array(
    fc.record({
      gap: fc.constantFrom(ORDER_KEY_STEP, ORDER_KEY_STEP / 2, 64),
      isStart: fc.boolean(),
      attestedFor: fc.constantFrom(undefined, 1 as UserNid),
      continues: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  .map((rows) => {
    let orderKey = 0;
    let chunk = 0;
    let start = rows[0];
    return rows.map((row, index) => {
      orderKey += row.gap;
      if (index === 0 || row.isStart) {
        chunk += 1;
        start = row;
      }
      const { attestedFor, continues } = start ?? row;
      return { orderKey, chunk: chunk as ChunkNid, attestedFor, continues };
    });
  });

/** Each stored event that the batch has, in order, and unknown events anywhere among them. */
const batchOf = (stored: readonly StoredEvent[]) =>
  fc
    .tuple(fc.array(fc.boolean(), { minLength: stored.length, maxLength: stored.length }), fc.array(fc.nat(3)))
    .map(([kept, unknown]) => {
      const known = stored.filter((_, index) => kept[index]);
      return [...known, undefined].flatMap((event, index) => {
        const before = Array<undefined>(Math.min(8, unknown[index] ?? 0)).fill(undefined);
        return event === undefined ? before : [...before, event];
      });
    });

const given = timeline.chain((stored) =>
  fc.record({
    stored: fc.constant(stored),
    batch: batchOf(stored),
    limited: fc.boolean(),
    reachesEnd: fc.boolean(),
    attestedFor: fc.constantFrom(undefined, 1 as UserNid, 2 as UserNid),
  }),
);

/** The known events before and after one in its batch. */
const knownBeside = (index: number, batch: readonly (StoredEvent | undefined)[]) => ({
  older: batch.slice(0, index).findLast((event) => event !== undefined),
  newer: batch.slice(index).find((event) => event !== undefined),
});

/** Whether an event stands at the end, or with nothing between it and the known event before it, or else after it. */
function isBesideNeighbour(
  { orderKey, isAtEnd }: Place,
  index: number,
  batch: readonly (StoredEvent | undefined)[],
  stored: readonly StoredEvent[],
): boolean {
  const { older, newer } = knownBeside(index, batch);
  const isFree = (from: number, to: number) => !stored.some((event) => event.orderKey >= from && event.orderKey < to);
  if (isAtEnd) return newer === undefined && orderKey > (stored.at(-1)?.orderKey ?? 0);
  return older === undefined ? isFree(orderKey, newer?.orderKey ?? 0) : isFree(older.orderKey + 1, orderKey + 1);
}

/** Whether an unknown event would come between two others that the batch does not have side by side, and that have no hole between. */
function splitsWhole(
  index: number,
  batch: readonly (StoredEvent | undefined)[],
  stored: readonly StoredEvent[],
): boolean {
  const { older, newer } = knownBeside(index, batch);
  const before = older ?? (newer && stored[stored.indexOf(newer) - 1]);
  const after = older === undefined ? newer : stored[stored.indexOf(older) + 1];
  if (before === undefined || after === undefined || (before === older && after === newer)) return false;
  return before.chunk === after.chunk || after.continues;
}

function tailOf(stored: readonly StoredEvent[]): Tail | undefined {
  const last = stored.at(-1);
  return last && { ...last, eventChunk: last.chunk };
}

/** Whether the events that go into a chunk are some, and unknown ones that follow each other in the batch. */
function isOneRun(
  chunk: ChunkToStart,
  places: readonly (Place | undefined)[],
  batch: readonly (StoredEvent | undefined)[],
): boolean {
  const isIn = (place: Place | undefined) => place?.chunk === chunk;
  const [first, last] = [places.findIndex(isIn), places.findLastIndex(isIn)];
  return first >= 0 && batch.slice(first, last + 1).every((event) => event === undefined);
}

describe("placing a batch", () => {
  test("keeps known events, orders all keys, and puts unknown ones beside their neighbours, if the batch has both", () => {
    fc.assert(
      fc.property(given, ({ stored, batch, ...facts }) => {
        const landmarks = batch.map((event): Landmark | undefined => {
          const at = event === undefined ? -1 : stored.indexOf(event);
          return event && { ...event, previous: stored[at - 1], next: stored[at + 1] };
        });
        const { places, started } = placeBatch(landmarks, tailOf(stored), facts);
        for (const [index, event] of batch.entries()) {
          const isNewest = facts.reachesEnd && batch.slice(index).every((each) => each === undefined);
          const staysOut = facts.attestedFor !== undefined && !isNewest && splitsWhole(index, batch, stored);
          if (event !== undefined || places[index]?.isAtEnd === true) continue;
          expect(places[index] === undefined).toBe(staysOut);
        }
        const keys = batch.flatMap((event, index) => event?.orderKey ?? places[index]?.orderKey ?? []);
        expect(batch.every((event, index) => event === undefined || places[index] === undefined)).toBe(true);
        expect(keys.every(Number.isSafeInteger)).toBe(true);
        expect(keys).toEqual([...new Set(keys)].sort((a, b) => a - b));
        for (const [index, place] of places.entries()) {
          if (place !== undefined) expect(isBesideNeighbour(place, index, batch, stored)).toBe(true);
        }
        for (const chunk of started) expect(isOneRun(chunk, places, batch)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});

const MALLORY = "@mallory:test";
const CARLA = "@carla:test";

/** Readers by index; the last one ignores Mallory. */
const READERS = ["@alice:test", "@bob:test", "@dana:test"] as UserId[];
const IGNORING = 2;

/** A limit that nothing reaches. */
const ALL = 1_000;

type Step =
  | { readonly does: "send"; readonly by: string }
  /** Asks for at most so many events; the answer is what the room holds now. */
  | { readonly does: "poll"; readonly reader: number; readonly limit: number; readonly isPrompt: boolean }
  /** The answer has arrived. */
  | { readonly does: "store"; readonly reader: number }
  /** What stands before all that the reader is shown without a hole is fetched, so many events at most. */
  | { readonly does: "look back"; readonly reader: number; readonly limit: number };

const reader = fc.nat(READERS.length - 1);

const senders = fc.constantFrom(CARLA, CARLA, MALLORY);

/**
 * Answers come in at once, so that what is stored is never ahead of them, and may leave out all but the newest events.
 * Who ignores somebody does not poll.
 */
const promptStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ does: fc.constant("send" as const), by: senders }),
  fc.record({
    does: fc.constant("poll" as const),
    reader: fc.nat(IGNORING - 1),
    limit: fc.constantFrom(1, 2, 20),
    isPrompt: fc.constant(true),
  }),
  fc.record({ does: fc.constant("look back" as const), reader, limit: fc.constantFrom(1, 3, 20) }),
);

/** Answers take their time while others come in, and leave nothing out. */
const slowStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ does: fc.constant("send" as const), by: senders }),
  fc.record({ does: fc.constant("poll" as const), reader, limit: fc.constant(ALL), isPrompt: fc.boolean() }),
  fc.record({ does: fc.constant("store" as const), reader }),
  fc.record({ does: fc.constant("look back" as const), reader, limit: fc.constantFrom(1, 3, 20) }),
);

/** What a client has been told, oldest first; `null` where it was told that something may be missing. */
type Log = (number | null)[];

/** One room at a homeserver, the streams of some users who are in it, the store, and a client for each. */
class Streams {
  readonly room = new DraftedRoom();
  readonly logs: Log[] = READERS.map(() => []);
  readonly #sent: string[] = [];
  /** Where each stream goes on. */
  readonly #since = READERS.map(() => 0);
  readonly #lastSeen = READERS.map(() => new Map<RoomId, EventId>());
  readonly #toldUpTo: (StreamPosition | undefined)[] = READERS.map(() => undefined);
  readonly #pending: ((() => void) | undefined)[] = READERS.map(() => undefined);
  readonly #told: (StreamPosition | undefined)[] = READERS.map(() => undefined);

  run(steps: readonly Step[], readers: number): void {
    // Of a room that is not whole, no history is taken.
    this.room.row = { ...this.room.row, isComplete: true };
    for (const each of steps) {
      if (each.does === "send") this.#sent.push(each.by);
      else if (each.does === "poll") this.#poll(each.reader, each.limit, each.isPrompt);
      else if (each.does === "look back") this.#lookBack(each.reader, each.limit);
      else this.#store(each.reader);
    }
    for (let index = 0; index < readers; index += 1) {
      this.#store(index);
      this.#poll(index, ALL, true);
    }
  }

  isVisible = (event: number, index: number) => index !== IGNORING || this.#sent[event] !== MALLORY;

  get size(): number {
    return this.#sent.length;
  }

  #poll(index: number, limit: number, isPrompt: boolean): void {
    if (this.#pending[index] !== undefined) return;
    const since = this.#since[index] ?? 0;
    const to = this.#sent.length;
    const news = Array.from({ length: to - since }, (_, at) => since + at).filter((event) =>
      this.isVisible(event, index),
    );
    const events = news.slice(-limit).map((event) => this.#message(event));
    const storedBefore = this.room.position;
    const poll = since === 0 ? "first" : "live";
    this.#pending[index] = () => {
      this.#since[index] = to;
      const toldUpTo = this.#toldUpTo[index];
      this.#toldUpTo[index] = storedBefore;
      if (events.length === 0) return;
      this.room.fold("join", inRoom(events, { limited: news.length > limit }), {
        userNid: (index + 1) as UserNid,
        userId: READERS[index]!,
        ignoresSomebody: index === IGNORING,
        poll,
        storedBefore,
        toldUpTo,
        lastSeen: new Map(this.#lastSeen[index]),
      });
      this.#lastSeen[index]?.set(ROOM as RoomId, events.at(-1)?.event_id as EventId);
    };
    if (since === 0 || isPrompt) this.#store(index);
  }

  /** Nobody is shown less for it. */
  #lookBack(index: number, limit: number): void {
    const shown = () => READERS.map((_, client) => this.read(client, undefined).filter((event) => event !== null));
    const before = shown();
    const [first] = before[index] ?? [];
    if (first === undefined || first === null) return;
    const older = Array.from({ length: first }, (_, event) => event).filter((event) => this.isVisible(event, index));
    this.room.foldHistory(
      inRoom(
        older.slice(-limit).map((event) => this.#message(event)),
        { after: [] },
      ),
      {
        userNid: (index + 1) as UserNid,
        userId: READERS[index]!,
        ignoresSomebody: index === IGNORING,
        lastSeen: new Map([[ROOM as RoomId, `$${first}` as EventId]]),
      },
    );
    for (const [client, events] of shown().entries()) {
      expect(events).toEqual([...events].sort((a, b) => Number(a) - Number(b)));
      expect(events.slice(events.length - (before[client]?.length ?? 0))).toEqual(before[client]);
    }
  }

  #message(event: number) {
    return message(`$${event}`, { sender: this.#sent[event] ?? "", origin_server_ts: 1_000 + event });
  }

  #store(index: number): void {
    this.#pending[index]?.();
    this.#pending[index] = undefined;
    for (const [client] of READERS.entries()) this.#tell(client);
  }

  #tell(client: number): void {
    this.logs[client]?.push(...this.read(client, this.#told[client]));
    this.#told[client] = this.room.position;
  }

  /** What a client is told that was told all up to a position, or nothing yet, by the rule for cutting timelines. */
  read(client: number, told: number | undefined): Log {
    const stored = this.room.timeline();
    const events: number[] = [];
    // Where nothing older is stored there may still be something.
    let isLimited = stored.length > 0;
    for (let at = stored.length - 1; at >= 0; at -= 1) {
      const [older, newer] = [stored[at]!, stored[at + 1]];
      const chunk = newer && this.room.chunks.get(newer.chunk as ChunkNid);
      const isAttested = chunk === undefined || (chunk.attestedFor ?? client + 1) === client + 1;
      const isNeighbour = newer === undefined || older.chunk === newer.chunk || chunk?.continues === true;
      if (!isAttested || !isNeighbour) break;
      if (told !== undefined && older.position <= told) {
        isLimited = false;
        break;
      }
      const event = Number(older.eventId.slice(1));
      if (this.isVisible(event, client)) events.unshift(event);
    }
    return isLimited ? [null, ...events] : events;
  }
}

/** Events that a client was never told, and that nothing told it to look for. */
function lost(streams: Streams, client: number, log: Log): readonly number[] {
  const first = log.find((entry) => entry !== null) ?? 0;
  return Array.from({ length: streams.size }, (_, event) => event).filter((event) => {
    if (event < first || !streams.isVisible(event, client) || log.includes(event)) return false;
    return !log.some((entry, at) => {
      const before = log.slice(0, at).findLast((each) => each !== null) ?? -1;
      const after = log.slice(at).find((each) => each !== null) ?? streams.size;
      return entry === null && before < event && event < after;
    });
  });
}

describe("streams of several users", () => {
  test.each([
    ["that come in at once and may have holes", promptStep, IGNORING],
    ["that come in late", slowStep, READERS.length],
  ])("%s bring every event to every client, or tell it where to look", (_, step, readers) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: "max" }), (steps) => {
        const streams = new Streams();
        streams.run(steps, readers);
        for (const [client, log] of streams.logs.entries()) {
          expect([client, lost(streams, client, log)]).toEqual([client, []]);
          const anew = streams.read(client, undefined);
          expect([client, lost(streams, client, anew)]).toEqual([client, []]);
        }
      }),
      { numRuns: RUNS },
    );
  });
});
