import type { EventId, RoomId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { DeviceClaim } from "../../store/device-stream.ts";
import { ignoredIn } from "../ingest/ignoring.ts";
import type { ResponsePart, WholeResponse } from "../ingest/part.ts";
import type { Source } from "../ingest/source.ts";
import type { BadEvent } from "../response/parse-event.ts";
import { type ParsedSection, parseSection } from "../response/parsed-section.ts";
import { ResponseReader, type ResponseRest } from "../response/response-reader.ts";
import { LastSeen } from "./last-seen.ts";

/**
 * A part of a long response is stored when it holds this much. Larger: more memory, and a longer transaction. Smaller: more
 * commits for the same rooms.
 */
const PART_EVENTS = 500;
const PART_BYTES = 512 * 1024;

export interface PartStore {
  /** Everything at or below it is stored. */
  readonly position: StreamPosition;
  live(part: ResponsePart): Promise<void>;
  bulk(part: ResponsePart): Promise<void>;
}

/** How much of a response has arrived. */
export interface Arrived {
  readonly bytes: number;
  readonly rooms: number;
}

export interface IntakeEvents {
  onSetAside(what: "room" | "event" | "section", where: string, reason: string): void;
}

/** A response whose body is not what a homeserver sends. */
export class MalformedResponseError extends Error {
  override readonly name = "MalformedResponseError";
}

const NOBODY: ReadonlySet<string> = new Set();

const NOTHING_OF_DEVICE = { toDevice: [], deviceLists: { changed: [], left: [] } };

/** What a whole stored response leaves for the next poll. */
export interface TakenIn {
  readonly nextBatch: string;
  /** The stream has lost a part and has to be asked for anew: where it goes on is stored as before. */
  readonly hasLost: boolean;
  /** To-device messages that were stored. */
  readonly toDevice: readonly Buffer[];
  /** Whom the user ignores. */
  readonly ignored: ReadonlySet<string>;
  readonly bytes: number;
  /** Nothing was in it but where the stream goes on. */
  readonly isEmpty: boolean;
  /** The last event of each room that had any; of a long response, of the rooms that came last. */
  readonly lastSeen: ReadonlyMap<RoomId, EventId>;
}

export interface ResponseContext {
  readonly claim: DeviceClaim;
  readonly source: Omit<Source, "ignoresSomebody" | "ignored" | "nowUs">;
  /** Whom the user ignores; undefined: nothing is known yet; until it is the stream attests for its user alone. */
  readonly ignored: ReadonlySet<string> | undefined;
  /** Where the stream goes on, as it is stored. */
  readonly since: string | undefined;
  /** Of the response only rooms and what is the user's count: the device's own comes with the stream, which goes on from `since`. */
  readonly isBesideStream?: boolean;
  /** What the poller makes of it; undefined: it goes on. */
  readonly past?: {
    toDeviceNews(messages: readonly Buffer[]): readonly Buffer[];
    hasLost(nextBatch: string): boolean;
  };
  /** Of a question that was asked before: what was stored before this request. */
  readonly askedAfter?: StreamPosition;
  readonly nowUs: () => number;
}

/**
 * Takes one v2 response in: whole rooms are stored as they arrive when it is long, and all at once when it is short. The
 * stream moves on in the last transaction only, so that a response that breaks off anywhere is simply asked for again.
 */
export class ResponseIntake {
  readonly #context: ResponseContext;
  readonly #store: PartStore;
  readonly #events: IntakeEvents;
  readonly #reader: ResponseReader;
  #sections: ParsedSection[] = [];
  /** Rooms count as an event, since one may come without any. */
  #pendingEvents = 0;
  #pendingBytes = 0;
  #bytes = 0;
  #rooms = 0;
  #hasStoredParts = false;
  readonly #lastSeen = new LastSeen();
  /** Of a first sync. */
  readonly #named: Set<RoomId> | undefined;

  constructor(context: ResponseContext, store: PartStore, events: IntakeEvents) {
    this.#context = context;
    this.#store = store;
    this.#events = events;
    this.#named = context.source.poll === "first" ? new Set() : undefined;
    this.#reader = new ResponseReader({
      onRoom: (section) => this.#add(parseSection(section, (bad) => this.#onBadEvent(section.roomId, bad))),
      onSetAside: (what, where, reason) => events.onSetAside(what, where, reason),
    });
  }

  /** What has arrived so far. */
  get arrived(): Arrived {
    return { bytes: this.#bytes, rooms: this.#rooms };
  }

  /** Rejects when a part could not be stored; then the response is lost and the poll must be repeated. */
  async write(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length;
    this.#reader.write(chunk);
    if (this.#pendingEvents >= PART_EVENTS || this.#pendingBytes >= PART_BYTES) await this.#flush();
  }

  /** Stores the rest and moves the stream on. */
  async end(): Promise<TakenIn> {
    const receivedUs = this.#context.nowUs();
    this.#reader.end();
    const { past, since, isBesideStream = false } = this.#context;
    const rest = isBesideStream ? { ...this.#reader.rest, ...NOTHING_OF_DEVICE } : this.#newsOf(this.#reader.rest);
    const { nextBatch, toDevice } = rest;
    if (nextBatch === undefined) throw new MalformedResponseError("the response has no next_batch");
    if (this.#hasStoredParts) await this.#flush();
    const ignored = this.#ignored() ?? NOBODY;
    const isEmpty = !this.#hasStoredParts && this.#sections.length === 0 && isRestEmpty(rest);
    const hasLost = !isBesideStream && (past?.hasLost(nextBatch) ?? false);
    const to = (hasLost || isBesideStream) && since !== undefined ? since : nextBatch;
    const end = { rest, since: { from: since, to }, whole: this.#whole() };
    await this.#store.live({ ...this.#part(ignored), token: nextBatch, end, receivedUs });
    const lastSeen = this.#lastSeen.events;
    return { nextBatch, hasLost, toDevice, ignored, bytes: this.#bytes, isEmpty, lastSeen };
  }

  #newsOf(rest: ResponseRest): ResponseRest {
    const toDevice = [...(this.#context.past?.toDeviceNews(rest.toDevice) ?? rest.toDevice)];
    return { ...rest, toDevice };
  }

  #add(section: ParsedSection): void {
    this.#sections.push(section);
    this.#rooms += 1;
    this.#named?.add(section.roomId);
    this.#lastSeen.note(section.roomId, section.timeline.at(-1)?.eventId);
    this.#pendingBytes += section.bytes;
    this.#pendingEvents += 1 + section.timeline.length + section.state.length;
  }

  #whole(): WholeResponse | undefined {
    const { source, askedAfter = source.storedBefore } = this.#context;
    return this.#named && { named: this.#named, askedAfter };
  }

  /** Whom the user ignores, as far as it can be told: account data may still come. */
  #ignored(): ReadonlySet<string> | undefined {
    const { accountData, isAccountDataWhole } = this.#reader.rest;
    return ignoredIn(accountData) ?? this.#context.ignored ?? (isAccountDataWhole ? NOBODY : undefined);
  }

  /** One part is in memory at a time, and what lives beside a long response gets its turn between two. */
  async #flush(): Promise<void> {
    if (this.#sections.length === 0) return;
    const part = this.#part(this.#ignored());
    this.#hasStoredParts = true;
    await this.#store.bulk(part);
  }

  #part(ignored: ReadonlySet<string> | undefined): ResponsePart {
    const sections = this.#sections;
    this.#sections = [];
    this.#pendingEvents = 0;
    this.#pendingBytes = 0;
    const { claim, source, nowUs } = this.#context;
    return {
      claim,
      source: { ...source, ignoresSomebody: ignored === undefined || ignored.size > 0, ignored, nowUs: nowUs() },
      sections,
      token: this.#reader.rest.nextBatch,
      end: undefined,
      receivedUs: undefined,
    };
  }

  #onBadEvent(roomId: string, bad: BadEvent): void {
    this.#events.onSetAside("event", `${roomId} ${bad.type ?? ""}`.trimEnd(), bad.bad);
  }
}

/** Key counts come with every response. */
const isRestEmpty = ({ accountData, toDevice, deviceLists }: ResponseRest): boolean =>
  accountData.length + toDevice.length + deviceLists.changed.length + deviceLists.left.length === 0;
