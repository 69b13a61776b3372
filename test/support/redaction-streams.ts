// One room at a homeserver whose users redact, and the streams of some who are in it: what arrives is what the homeserver said
// when it was asked, in any order and form.
import { expect } from "@jest/globals";
import fc from "fast-check";
import type { EventText } from "../../src/model/redaction.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import type { StoredEvent } from "./homeserver/event.ts";
import { prunedContent } from "./homeserver/redaction.ts";
import { inRoom, type V2Event } from "./v2-events.ts";

export const VERSIONS = [1, 5, 6, 10, 11];
/** In earlier versions nothing of a redaction that was redacted itself says what it redacted. */
const FIRST_WITH_TARGET_KEPT = 11;
/** Readers by index. */
export const READERS = ["@alice:test", "@bob:test", "@carol:test"];
/** In what is sent. */
export const SECRET = "secret";
const TYPES = ["m.room.message", "m.room.name", "m.room.avatar", "m.room.encryption", "m.room.aliases"] as const;

export type Step =
  | { readonly does: "send"; readonly type: (typeof TYPES)[number] }
  /** Of the event that was sent at this place, counted from the newest; beyond the first: of none that there is. */
  | { readonly does: "redact"; readonly age: number }
  /** The answer is what the homeserver says now. A first one may begin anywhere. */
  | { readonly does: "poll"; readonly reader: number; readonly limit: number; readonly isStateAfter: boolean }
  /** Answers of these readers arrive, in one transaction. */
  | { readonly does: "store"; readonly readers: readonly number[] };

const reader = fc.nat(READERS.length - 1);
export const redactionStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant("send" as const), type: fc.constantFrom(...TYPES) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("redact" as const), age: fc.nat(8) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("poll" as const),
      reader,
      limit: fc.constantFrom(1, 3, 100),
      isStateAfter: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("store" as const),
      readers: fc.shuffledSubarray([0, 1, 2], { minLength: 1 }),
    }),
  },
);

/** An event at the homeserver. */
interface Sent {
  readonly id: string;
  readonly type: string;
  readonly content: Record<string, unknown>;
  readonly redacts: string | undefined;
  readonly previous: Sent | undefined;
  redactedBy: Sent | undefined;
}

/** What a reader's stream says of the room. */
export interface Answer {
  readonly reader: number;
  readonly section: object;
  readonly poll: "first" | "live";
  readonly storedBefore: StreamPosition;
}

/** Where answers are stored, those given together in one transaction or one right after the other. */
export interface AnswerStore {
  readonly position: StreamPosition;
  store(answers: readonly Answer[]): Promise<void>;
}

/** What is stored of the room at the end. */
export interface StoredRoom {
  readonly events: ReadonlyMap<string, Pick<EventText, "body" | "unsigned">>;
  readonly name: string | undefined;
  readonly avatar: string | undefined;
  readonly isEncrypted: boolean;
  /** The event that is current for a type of state. */
  readonly current: ReadonlyMap<string, string | undefined>;
}

export class RedactionStreams {
  readonly log: Sent[] = [];
  readonly #version: number;
  readonly #since = READERS.map(() => 0);
  readonly #pending: (Answer | undefined)[] = READERS.map(() => undefined);
  readonly #store: AnswerStore;

  constructor(version: number, store: AnswerStore) {
    this.#version = version;
    this.#store = store;
    this.#send("m.room.create", { room_version: String(version) });
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const each of steps) {
      if (each.does === "send") this.#send(each.type, { name: SECRET, url: SECRET, body: SECRET, aliases: [SECRET] });
      else if (each.does === "redact") this.#redact(this.log.at(-1 - each.age));
      else if (each.does === "poll") this.#poll(each.reader, each.limit, each.isStateAfter);
      else await this.#arrive(each.readers);
    }
    for (const index of READERS.keys()) {
      await this.#arrive([index]);
      this.#poll(index, 100, false);
      await this.#arrive([index]);
    }
  }

  /** As the homeserver serves it now. */
  served(sent: Sent): V2Event & { readonly redacts?: string } {
    const { id, type, redacts, previous, redactedBy } = sent;
    const isOld = this.#version < FIRST_WITH_TARGET_KEPT;
    const unsigned = {
      age: 5,
      ...(previous && { replaces_state: previous.id, prev_content: this.served(previous).content }),
      ...(redactedBy && { redacted_because: this.served(redactedBy) }),
    };
    return {
      ...(isOld && redacts !== undefined && redactedBy === undefined ? { redacts } : {}),
      content: redactedBy === undefined ? sent.content : this.#pruned(sent),
      event_id: id,
      origin_server_ts: 1_000,
      sender: "@alice:test",
      ...(isState(type) ? { state_key: "" } : {}),
      type,
      unsigned,
    };
  }

  #pruned = ({ type, content }: Sent): object => prunedContent({ type, content } as StoredEvent, this.#version);

  #send(type: string, content: Sent["content"], redacts?: string): Sent {
    const previous = isState(type) ? this.log.findLast((event) => event.type === type) : undefined;
    const sent = { id: `$${this.log.length}`, type, content, redacts, previous, redactedBy: undefined };
    this.log.push(sent);
    return sent;
  }

  #redact(target: Sent | undefined): void {
    const redacts = target?.id ?? "$elsewhere";
    const inContent = this.#version < FIRST_WITH_TARGET_KEPT ? {} : { redacts };
    const redaction = this.#send("m.room.redaction", { reason: SECRET, ...inContent }, redacts);
    if (target !== undefined && target.type !== "m.room.create") target.redactedBy ??= redaction;
  }

  #poll(index: number, limit: number, isStateAfter: boolean): void {
    if (this.#pending[index] !== undefined) return;
    const since = this.#since[index] ?? 0;
    const to = this.log.length;
    const from = since === 0 ? Math.max(0, to - limit) : since;
    const poll = since === 0 ? "first" : "live";
    const storedBefore = since === 0 ? (0 as StreamPosition) : this.#store.position;
    const timeline = this.log.slice(from, to).map((event) => this.served(event));
    const known = (this.log.slice(0, isStateAfter ? to : from) as Sent[]).filter(({ type }) => isState(type));
    const state = [...new Map(known.map((event) => [event.type, this.served(event)])).values()];
    const parts = isStateAfter ? { after: state } : { state: since === 0 ? state : [] };
    const section = inRoom(timeline, { ...parts, limited: from > since });
    this.#since[index] = to;
    this.#pending[index] = { reader: index, section, poll, storedBefore };
  }

  async #arrive(readers: readonly number[]): Promise<void> {
    const answers = readers.flatMap((index) => this.#pending[index] ?? []);
    for (const index of readers) this.#pending[index] = undefined;
    if (answers.length > 0) await this.#store.store(answers);
  }

  /** Its redaction can be told from what the homeserver serves. */
  #isTold = ({ redactedBy }: Sent): boolean =>
    redactedBy?.redactedBy === undefined || this.#version >= FIRST_WITH_TARGET_KEPT;

  /** It and all that it repeats. */
  #isTellable = (sent: Sent): boolean =>
    this.#isTold(sent) && (sent.previous === undefined || this.#isTold(sent.previous));

  /** Whether everything that is stored is as the homeserver serves it now. */
  check(room: StoredRoom): void {
    for (const sent of this.log.filter(this.#isTellable)) {
      const stored = room.events.get(sent.id);
      if (stored !== undefined) this.#checkEvent(sent, stored);
    }
    const contentOf = (type: string) => {
      const event = room.events.get(room.current.get(type) ?? "");
      return event === undefined ? {} : JSON.parse(event.body.toString()).content;
    };
    expect([room.name, room.avatar]).toEqual([contentOf("m.room.name").name, contentOf("m.room.avatar").url]);
    expect(room.isEncrypted).toBe(room.current.get("m.room.encryption") !== undefined);
  }

  #checkEvent(sent: Sent, stored: Pick<EventText, "body" | "unsigned">): void {
    const { unsigned, ...served } = this.served(sent);
    const kept = JSON.parse(stored.unsigned?.toString() ?? "{}");
    expect([sent.id, JSON.parse(stored.body.toString())]).toEqual([sent.id, served]);
    expect([sent.id, kept.prev_content]).toEqual([sent.id, Object(unsigned).prev_content]);
    const redactions = this.log.filter(({ redacts }) => redacts === sent.id).map(({ id }) => id);
    if (redactions.length <= 1) {
      const because = sent.redactedBy && withoutUnsigned(this.served(sent.redactedBy));
      expect([sent.id, kept.redacted_because]).toEqual([sent.id, because]);
    } else if (sent.redactedBy !== undefined) expect(redactions).toContain(kept.redacted_because.event_id);
  }
}

const isState = (type: string): boolean => type !== "m.room.message" && type !== "m.room.redaction";

const withoutUnsigned = ({ unsigned: _, ...rest }: V2Event): object => rest;
