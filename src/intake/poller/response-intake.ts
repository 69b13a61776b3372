import type { DeviceClaim } from "../../store/device-stream.ts";
import type { ResponseEnd, ResponsePart } from "../ingest/part.ts";
import { ignoresSomebody } from "../ingest/personal-facts.ts";
import type { Source } from "../ingest/room-draft.ts";
import type { BadEvent } from "../response/parse-event.ts";
import { type ParsedSection, parseSection } from "../response/parsed-section.ts";
import { ResponseReader } from "../response/response-reader.ts";

/**
 * A part of a long response is stored when it holds this much. Larger: more memory, and a longer transaction. Smaller: more
 * commits for the same rooms.
 */
const PART_EVENTS = 1_000;
const PART_BYTES = 1024 * 1024;

export interface PartStore {
  live(part: ResponsePart): Promise<void>;
  bulk(part: ResponsePart): Promise<void>;
}

export interface IntakeEvents {
  onSetAside(what: "room" | "event" | "section", where: string, reason: string): void;
}

/** A response whose body is not what a homeserver sends. */
export class MalformedResponseError extends Error {
  override readonly name = "MalformedResponseError";
}

/** What a whole stored response leaves for the next poll. */
export interface TakenIn {
  readonly nextBatch: string;
  readonly ignoresSomebody: boolean | undefined;
  readonly bytes: number;
  /** Nothing was in it but where the stream goes on. */
  readonly isEmpty: boolean;
}

export interface ResponseContext {
  readonly claim: DeviceClaim;
  readonly source: Omit<Source, "ignoresSomebody" | "nowUs">;
  /** undefined: nothing is known yet; then the stream attests for its user alone. */
  readonly ignoresSomebody: boolean | undefined;
  readonly since: string | undefined;
  readonly isCatchUp: boolean;
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
  #pendingEvents = 0;
  #pendingBytes = 0;
  #bytes = 0;
  #hasStoredParts = false;
  #ignoresSomebody: boolean | undefined;
  #inFlight: Promise<void> = Promise.resolve();

  constructor(context: ResponseContext, store: PartStore, events: IntakeEvents) {
    this.#context = context;
    this.#store = store;
    this.#events = events;
    this.#ignoresSomebody = context.ignoresSomebody;
    this.#reader = new ResponseReader({
      onRoom: (section) => this.#add(parseSection(section, (bad) => this.#onBadEvent(section.roomId, bad))),
      onSetAside: (what, where, reason) => events.onSetAside(what, where, reason),
    });
  }

  /** Rejects when a part could not be stored; then the response is lost and the poll must be repeated. */
  async write(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length;
    this.#reader.write(chunk);
    if (this.#pendingEvents >= PART_EVENTS || this.#pendingBytes >= PART_BYTES) await this.#flush();
  }

  /** Stores the rest and moves the stream on. */
  async end(): Promise<TakenIn> {
    this.#reader.end();
    const { rest } = this.#reader;
    const { nextBatch } = rest;
    if (nextBatch === undefined) throw new MalformedResponseError("the response has no next_batch");
    this.#readIgnored();
    if (this.#hasStoredParts) await this.#flush();
    await this.#inFlight;
    const { since, isCatchUp } = this.#context;
    const end: ResponseEnd = { rest, since: { from: since, to: nextBatch }, isCatchUp };
    const part = this.#part(end);
    await this.#store.live({ ...part, token: nextBatch });
    const isEmpty = !this.#hasStoredParts && part.sections.length === 0 && rest.toDevice.length === 0;
    return { nextBatch, ignoresSomebody: this.#ignoresSomebody ?? false, bytes: this.#bytes, isEmpty };
  }

  #add(section: ParsedSection): void {
    this.#sections.push(section);
    for (const { body } of section.timeline) this.#pendingBytes += body.length;
    for (const { body } of section.state) this.#pendingBytes += body.length;
    this.#pendingEvents += section.timeline.length + section.state.length;
  }

  #readIgnored(): void {
    const list = this.#reader.rest.accountData.findLast((event) => event.includes("m.ignored_user_list"));
    if (list !== undefined) this.#ignoresSomebody = ignoresSomebody(list);
  }

  /** One part is being stored while the next is read. */
  async #flush(): Promise<void> {
    if (this.#sections.length === 0) return;
    this.#readIgnored();
    const part = this.#part(undefined);
    this.#hasStoredParts = true;
    await this.#inFlight;
    this.#inFlight = this.#store.bulk(part);
    // The rejection is seen by the next flush or by the end; until then it must not count as unhandled.
    this.#inFlight.catch(() => undefined);
  }

  #part(end: ResponseEnd | undefined): ResponsePart {
    const sections = this.#sections;
    this.#sections = [];
    this.#pendingEvents = 0;
    this.#pendingBytes = 0;
    const { claim, source, nowUs } = this.#context;
    const now = nowUs();
    return {
      claim,
      source: { ...source, ignoresSomebody: this.#ignoresSomebody ?? true, nowUs: now },
      sections,
      token: this.#reader.rest.nextBatch,
      end,
      receivedUs: end === undefined ? undefined : now,
    };
  }

  #onBadEvent(roomId: string, bad: BadEvent): void {
    this.#events.onSetAside("event", `${roomId} ${bad.type ?? ""}`.trimEnd(), bad.bad);
  }
}
