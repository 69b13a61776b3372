import { createHash } from "node:crypto";

/**
 * All is asked for anew once in so long at most. Shorter: a homeserver whose tokens mean something else has to compute first
 * syncs again and again. Longer: of a second backup that is restored, what was lost is missed.
 */
const ANEW_EVERY_MS = 60 * 60_000;

/** An answer that comes sooner than this has not waited for news. */
const AT_ONCE_MS = 1_000;

/** So many answers in a row that come at once and bring nothing are let pass: the end of a wait is one, and a lost race. */
const FREE_ANSWERS = 2;

/** The first rest doubles up to the second. Longer: news are late. Shorter: a homeserver that does not wait is hammered. */
export const FIRST_REST_MS = 250;
const MAX_REST_MS = 5_000;

/** Tokens that are remembered, to notice a stream that goes in a circle. */
const MAX_TOKENS = 16;

/** A response that was stored, as its poller sees it. */
interface StoredResponse {
  /** What it was asked with. */
  readonly since: string | undefined;
  readonly nextBatch: string;
  readonly toDevice: readonly Buffer[];
  readonly isEmpty: boolean;
  /** It was to come only with news. */
  readonly hasWaited: boolean;
  readonly tookMs: number;
}

/** What a poller remembers of its stream, to notice where that does not go on. */
export class StreamPast {
  #asked: string | undefined;
  readonly #messages = new Set<string>();
  readonly #tokens = new Set<string>();
  #idleAnswers = 0;
  #anewMs = Number.NEGATIVE_INFINITY;

  /**
   * To-device messages, without those that come again: they have no ids, and a homeserver deletes them when a request goes on
   * from the response that brought them. One that does not go on is given them once more.
   */
  toDeviceNews(since: string | undefined, messages: readonly Buffer[]): readonly Buffer[] {
    if (!this.#isSame(since)) return messages;
    return messages.filter((message) => !this.#messages.has(digestOf(message)));
  }

  /**
   * Whether a response shows that the homeserver has lost a part of its stream, as after a backup was restored: what it has
   * told since with the same positions is missing, so that all must be asked for anew. At most once in {@link ANEW_EVERY_MS}.
   */
  hasLost(since: string | undefined, nextBatch: string, nowMs: number): boolean {
    if (since === undefined || !goesBack(since, nextBatch) || nowMs - this.#anewMs < ANEW_EVERY_MS) return false;
    this.#anewMs = nowMs;
    return true;
  }

  /** Notes a response that was stored. Returns how long to wait before the next request, in milliseconds. */
  note({ since, nextBatch, toDevice, isEmpty, hasWaited, tookMs }: StoredResponse): number {
    if (!this.#isSame(since)) this.#messages.clear();
    for (const message of toDevice) this.#messages.add(digestOf(message));
    this.#asked = since;
    const isIdle = isEmpty || nextBatch === since || this.#tokens.has(nextBatch);
    this.#tokens.delete(nextBatch);
    this.#tokens.add(nextBatch);
    const [oldest] = this.#tokens;
    if (this.#tokens.size > MAX_TOKENS && oldest !== undefined) this.#tokens.delete(oldest);
    this.#idleAnswers = isIdle && hasWaited && tookMs < AT_ONCE_MS ? this.#idleAnswers + 1 : 0;
    const rests = this.#idleAnswers - FREE_ANSWERS;
    return rests <= 0 ? 0 : Math.min(MAX_REST_MS, FIRST_REST_MS * 2 ** Math.min(rests - 1, 16));
  }

  /** The request does not acknowledge what came with the last response. */
  #isSame(since: string | undefined): boolean {
    return since === undefined || since === this.#asked;
  }
}

const digestOf = (message: Buffer): string => createHash("sha256").update(message).digest("base64");

/** Synapse's, Dendrite's and tuwunel's tokens begin with the position in the stream of rooms. */
const TOKEN = /^(?<form>[a-z]?)(?<position>\d{1,15})(?<others>(_\d+)*)$/;

/** Whether a token stands before another, as far as both can be read: other homeservers' tokens say nothing. */
function goesBack(from: string, to: string): boolean {
  const [before, after] = [TOKEN.exec(from)?.groups, TOKEN.exec(to)?.groups];
  if (before === undefined || after === undefined || before.form !== after.form) return false;
  const streams = (others = "") => others.split("_").length;
  return streams(before.others) === streams(after.others) && Number(after.position) < Number(before.position);
}
