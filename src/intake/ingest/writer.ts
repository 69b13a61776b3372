import { setTimeout as sleep } from "node:timers/promises";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import type { Database } from "../../store/database.ts";
import { DatabaseUnavailableError, DataError } from "../../store/database-errors.ts";
import { quarantineRoom } from "../../store/quarantine.ts";
import { LaneNumbers } from "./lane-numbers.ts";
import type { ResponsePart } from "./part.ts";
import { type StoredParts, storeParts } from "./store-parts.ts";

/**
 * Events in one grouped transaction at most. More: one slow group holds up what comes after it. Fewer: at high rates each
 * commit carries too little.
 */
const MAX_GROUP_EVENTS = 500;

/**
 * How long a bulk part lets live ones go first, at most. Longer: where there is always a live one, long responses take longer.
 * Shorter: live ones wait for bulk ones more often.
 */
const MAX_YIELD_MS = 60;

/** How long after a live part its readers' answers are made. Longer: long responses take longer. Shorter: answers wait for a bulk part. */
const LIVE_REST_MS = 10;

/**
 * How long a bulk part is followed by a rest, as a share of the time that it took, while live ones come. Longer: long responses take longer.
 * Shorter: with few processors, live ones wait for one at every step of their way.
 */
const BULK_REST_SHARE = 1;

/** How long after a live part others are expected. Longer: long responses rest for nothing. Shorter: they do not where live ones are few. */
const LIVE_RECENT_MS = 1_000;

/** Live parts and bulk parts have a connection each. */
export type WriteLane = "live" | "bulk";

export interface WriterDeps {
  readonly db: Database;
  /** Everything at or below the position is visible now. */
  readonly onPosition: (position: StreamPosition, lane: WriteLane) => void;
  readonly onStored: (lane: WriteLane, stored: StoredParts, seconds: number) => void;
  readonly onLock: (seconds: number) => void;
  /** A room whose data the database refuses was set aside. */
  readonly onRoomSetAside: (roomId: string, error: Error) => void;
}

interface Waiting {
  readonly part: ResponsePart;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What is past can be done without, and the room cannot. */
const isDispensable = ({ history, isRecalled }: ResponsePart): boolean => history !== undefined || isRecalled === true;

/**
 * Brings parts of responses into the store. Live parts have their own connection and are grouped: whatever arrived during
 * one commit goes into the next. Bulk parts go one at a time on another connection, and begin when no live one is under way.
 */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #queue: Waiting[] = [];
  readonly #numbers: Readonly<Record<WriteLane, LaneNumbers>>;
  #position: StreamPosition = BEFORE_ALL;
  #isDraining = false;
  /** When the last live part was stored. */
  #quietSinceMs = Number.NEGATIVE_INFINITY;
  #bulkTail: Promise<unknown> = Promise.resolve();

  constructor(deps: WriterDeps) {
    this.#deps = deps;
    this.#numbers = { live: new LaneNumbers(deps.db), bulk: new LaneNumbers(deps.db) };
  }

  /** Everything at or below it is stored. */
  get position(): StreamPosition {
    return this.#position;
  }

  /** Stores a whole small response, or the end of a long one, durably. */
  live(part: ResponsePart): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ part, resolve, reject });
      if (!this.#isDraining) void this.#drain();
    });
  }

  /** Stores whole rooms of a response that goes on. */
  async bulk(part: ResponsePart): Promise<void> {
    const turn = this.#bulkTail.then(() => this.#bulk(part));
    this.#bulkTail = turn.catch(() => undefined);
    await turn;
  }

  /** Who brings the part reads on when the rest is over, so that this does not take the time that is left to live ones. */
  async #bulk(part: ResponsePart): Promise<void> {
    await this.#giveWay();
    const begunMs = performance.now();
    await this.#storeRobustly("bulk", part);
    const tookMs = performance.now() - begunMs;
    const isLive = this.#isDraining || performance.now() - this.#quietSinceMs < LIVE_RECENT_MS;
    if (isLive) await sleep(tookMs * BULK_REST_SHARE);
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    while (this.#queue.length > 0) await this.#storeGroup(this.#takeGroup());
    this.#isDraining = false;
    this.#quietSinceMs = performance.now();
  }

  /** What stores a long response shares the processors with all on the way of a live one: it lets that go first. */
  async #giveWay(): Promise<void> {
    const untilMs = performance.now() + MAX_YIELD_MS;
    const busyMs = () => (this.#isDraining ? LIVE_REST_MS : this.#quietSinceMs + LIVE_REST_MS - performance.now());
    for (let waitMs = busyMs(); waitMs > 0; waitMs = busyMs()) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) return;
      await sleep(Math.min(waitMs, leftMs));
    }
  }

  #takeGroup(): readonly Waiting[] {
    let events = 0;
    let count = 0;
    for (const { part } of this.#queue) {
      events += part.sections.reduce((sum, { timeline, state }) => sum + timeline.length + state.length, 0);
      if (count > 0 && events > MAX_GROUP_EVENTS) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** A group that failed is repeated member by member, so that one bad response fails alone. Never rejects. */
  async #storeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      await this.#store(
        "live",
        group.map(({ part }) => part),
      );
      for (const { resolve } of group) resolve();
    } catch (error) {
      // What was stored perhaps must not be stored again: where the stream stands is looked up first.
      if (error instanceof DatabaseUnavailableError) for (const { reject } of group) reject(error);
      else for (const { part, resolve, reject } of group) await this.#storeRobustly("live", part).then(resolve, reject);
    }
  }

  /**
   * Data that the database refuses is found room by room; that room is set aside and the rest goes on.
   */
  async #storeRobustly(lane: WriteLane, part: ResponsePart): Promise<void> {
    try {
      await this.#store(lane, [part]);
    } catch (error) {
      if (!(error instanceof DataError) || isDispensable(part)) throw error;
      for (const section of part.sections) {
        try {
          await this.#store(lane, [{ ...part, sections: [section], end: undefined }]);
        } catch (fault) {
          if (!(fault instanceof DataError)) throw fault;
          await quarantineRoom(this.#deps.db, section.roomId, fault.message);
          this.#deps.onRoomSetAside(section.roomId, fault);
        }
      }
      if (part.end !== undefined) await this.#store(lane, [{ ...part, sections: [] }]);
    }
  }

  async #store(lane: WriteLane, parts: readonly ResponsePart[]): Promise<void> {
    const { db, onLock, onStored, onPosition } = this.#deps;
    const numbers = this.#numbers[lane];
    const startedMs = performance.now();
    // Inside, so that a transaction that is run again has numbers again.
    const reserve = () => numbers.ensure(parts);
    const stored = await db.write((tx) => storeParts(tx, parts, { numbers, reserve, onLock }), { lane });
    if (stored.head > this.#position) this.#position = stored.head;
    onStored(lane, stored, (performance.now() - startedMs) / 1000);
    if (stored.position !== undefined) onPosition(stored.position, lane);
  }
}
