import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ValueAnswer } from "../../src/homeserver/value-reads.ts";
import { decide } from "../../src/intake/fetch/decide.ts";
import { type Contest, questionKey } from "../../src/intake/ingest/contest.ts";
import { foldSection } from "../../src/intake/ingest/fold-section.ts";
import type { Source } from "../../src/intake/ingest/source.ts";
import { type ParsedSection, parseSection } from "../../src/intake/response/parsed-section.ts";
import { emptySection } from "../../src/intake/response/room-section.ts";
import type { RoomId, UserId, UserNid } from "../../src/model/ids.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { DraftedRoom, ROOM } from "../support/drafted-room.ts";
import { ALICE, BOB, CAROL, create, member, message, name, type V2Event, visibility } from "../support/v2-events.ts";

const RUNS = 500;

const READERS = [ALICE, BOB] as UserId[];
const KEYS = ["name", "visibility", "carol"] as const;
type Key = (typeof KEYS)[number];

type Step =
  | { readonly does: "set"; readonly key: Key; readonly value: number }
  /** Asks for at most so many events. */
  | { readonly does: "poll"; readonly reader: number; readonly limit: number; readonly isAfter: boolean }
  /** The homeserver answers with what the room is now. */
  | { readonly does: "compute"; readonly reader: number }
  /** The answer has arrived. */
  | { readonly does: "store"; readonly reader: number }
  /** The homeserver is asked what is open, as a reader; the answer is what the room is now. */
  | { readonly does: "ask"; readonly reader: number }
  | { readonly does: "answer" };

const reader = fc.nat(READERS.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ does: fc.constant("set" as const), key: fc.constantFrom(...KEYS), value: fc.nat(2) }),
  fc.record({
    does: fc.constant("poll" as const),
    reader,
    limit: fc.constantFrom(0, 1, 20),
    isAfter: fc.boolean(),
  }),
  fc.record({ does: fc.constant("compute" as const), reader }),
  fc.record({ does: fc.constant("store" as const), reader }),
  fc.record({ does: fc.constant("ask" as const), reader }),
  fc.record({ does: fc.constant("answer" as const) }),
);

const keyOf = ({ type, state_key: stateKey = "" }: V2Event) => `${type}\0${stateKey}`;

/** One room at a homeserver that two users are in and others change, their slow streams, and the store. */
class SlowStreams {
  readonly room = new DraftedRoom();
  readonly #log: V2Event[] = [create(), ...READERS.map((userId) => member(`$${userId}`, userId, "join"))];
  readonly #since = READERS.map(() => 0);
  /** What computes the answer of a poll, and what stores it. */
  readonly #asked: ((() => void) | undefined)[] = READERS.map(() => undefined);
  readonly #pending: ((() => void) | undefined)[] = READERS.map(() => undefined);
  readonly #open = new Map<string, Contest>();
  #answer: (() => void) | undefined;

  constructor() {
    for (const index of READERS.keys()) this.#poll(index, 20, false);
    for (const index of READERS.keys()) this.#store(index);
  }

  /** `last` hears all that happened; the other one's stream stops, with what it told at the end stored first or last. */
  run(steps: readonly Step[], last: number, isOtherFirst: boolean): void {
    for (const each of steps) {
      if (each.does === "set") this.#set(each.key, each.value);
      else if (each.does === "poll") this.#poll(each.reader, each.limit, each.isAfter);
      else if (each.does === "compute") this.#compute(each.reader);
      else if (each.does === "store") this.#store(each.reader);
      else if (each.does === "ask") this.#ask(each.reader);
      else this.#settle();
    }
    const other = 1 - last;
    this.#compute(other);
    if (isOtherFirst) this.#store(other);
    this.#store(last);
    this.#poll(last, 0, true);
    this.#store(last);
    this.#store(other);
    this.#settle();
    while (this.#open.size > 0) {
      this.#ask(last);
      this.#settle();
    }
  }

  /** Event ids by state key. */
  get truth(): ReadonlyMap<string, string> {
    return new Map(this.#log.filter((event) => event.state_key !== undefined).map((e) => [keyOf(e), e.event_id]));
  }

  #set(key: Key, value: number): void {
    const id = `$${this.#log.length}`;
    const event = {
      name: () => name(id, `name ${value}`),
      visibility: () => visibility(id, ["shared", "invited", "joined"][value]!),
      carol: () => member(id, CAROL, ["join", "leave", "ban"][value]!),
    }[key]();
    this.#log.push(event);
  }

  #poll(index: number, limit: number, isAfter: boolean): void {
    if (this.#asked[index] !== undefined || this.#pending[index] !== undefined) return;
    const storedBefore = this.room.position;
    this.#asked[index] = () => {
      const since = this.#since[index] ?? 0;
      const to = this.#log.length;
      const section = this.#section(this.#log.slice(since), `$m${index}.${to}`, limit, isAfter);
      this.#pending[index] = () => {
        this.#since[index] = to;
        if (to > since) this.#fold(section, this.#source(index, since === 0 ? "first" : "live", storedBefore));
      };
    };
  }

  #section(news: readonly V2Event[], messageId: string, limit: number, isAfter: boolean): ParsedSection {
    const timeline = news.slice(Math.max(0, news.length - limit));
    const state = new Map((isAfter ? news : news.slice(0, news.length - timeline.length)).map((e) => [keyOf(e), e]));
    const raw = (events: Iterable<V2Event>) => [...events].map((event) => Buffer.from(JSON.stringify(event)));
    return parseSection(
      {
        ...emptySection("join", ROOM as RoomId),
        timeline: raw(limit === 0 ? [message(messageId)] : timeline),
        state: isAfter ? [] : raw(state.values()),
        stateAfter: isAfter ? raw(state.values()) : undefined,
        limited: news.length > limit,
      },
      () => {},
    );
  }

  #compute(index: number): void {
    this.#asked[index]?.();
    this.#asked[index] = undefined;
  }

  #store(index: number): void {
    this.#compute(index);
    this.#pending[index]?.();
    this.#pending[index] = undefined;
  }

  /** One question at a time for each key, as the queue has it. */
  #ask(index: number): void {
    if (this.#answer !== undefined || this.#open.size === 0) return;
    const contests = [...this.#open.values()];
    this.#open.clear();
    const storedBefore = this.room.position;
    const now = new Map(this.#log.map((event) => [keyOf(event), event]));
    const answerOf = (type: string, stateKey: string): ValueAnswer => {
      const event = now.get(`${type}\0${stateKey}`);
      return event === undefined ? { kind: "absent" } : { kind: "found", raw: Buffer.from(JSON.stringify(event)) };
    };
    const answered = contests.flatMap((contest) =>
      contest.kind === "state" ? [{ contest, answer: answerOf(contest.type, contest.stateKey) }] : [],
    );
    const own = new Map([[ROOM as RoomId, answerOf("m.room.member", READERS[index]!)]]);
    const { sections } = decide(READERS[index]!, answered, own);
    this.#answer = () => {
      for (const section of sections) this.#fold(section, this.#source(index, "asked", storedBefore));
    };
  }

  #settle(): void {
    this.#answer?.();
    this.#answer = undefined;
  }

  #fold(section: ParsedSection, source: Source): void {
    const draft = this.room.draft();
    const { changes } = foldSection(draft, section, source, this.room, undefined);
    this.room.store(draft, changes);
    for (const contest of draft.contests) {
      if (contest.kind !== "room-state") this.#open.set(questionKey(contest), contest);
    }
  }

  #source(index: number, poll: Source["poll"], storedBefore: StreamPosition): Source {
    return {
      userNid: (index + 1) as UserNid,
      userId: READERS[index]!,
      deviceNid: index + 1,
      ignoresSomebody: false,
      poll,
      storedBefore,
      toldUpTo: undefined,
      lastSeen: new Map(),
      nowUs: 2_000_000_000_000_000,
    };
  }
}

describe("two slow streams of one room, of which one stops", () => {
  test("leave the homeserver's values, whichever is stored first, once what they left open was asked", () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
        reader,
        fc.boolean(),
        (steps, last, isOtherFirst) => {
          const streams = new SlowStreams();
          streams.run(steps, last, isOtherFirst);
          const stored = new Map(
            [...streams.truth.keys()].map((key) => {
              const [type = "", stateKey = ""] = key.split("\0");
              return [key, streams.room.current(type, stateKey)];
            }),
          );
          expect(stored).toEqual(streams.truth);
          expect([...streams.room.memberships.values()].map(({ membership }) => membership)).toEqual([1, 1]);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
