// A connection of matrix-rust-sdk: what goes over the wire, and when the client gives up.
import { setTimeout as pause } from "node:timers/promises";
import { ApiError, type JsonObject, type Session } from "../../support/room-life/api.ts";
import { WaitingSync } from "../conformance/person.ts";
import { type DecodedAnswer, decodeAnswer } from "./ruma-answer.ts";

const PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
/** How often the SDK sends a request that is refused for coming too soon. */
const ATTEMPTS = 3;

interface SyncRequest {
  /** How long the server may wait for news. */
  readonly timeoutMs: number;
  readonly body: JsonObject;
}

export abstract class SlidingSync {
  /** Where the client stands; undefined: nowhere. */
  #pos: string | undefined;
  readonly #url: string;
  readonly #session: Session;
  readonly #limitMs: number;

  /**
   * @param url where it asks, if nothing else is said.
   * @param limitMs how long it waits for an answer, whatever its timeout.
   */
  constructor(url: string, session: Session, limitMs: number) {
    this.#url = url;
    this.#session = session;
    this.#limitMs = limitMs;
  }

  protected abstract next(): SyncRequest;

  /** Goes on from an answer. */
  adopt(answer: DecodedAnswer): void {
    this.#pos = answer.pos;
  }

  /** Sends the next request and goes on from its answer. */
  async sync(url?: string): Promise<DecodedAnswer> {
    const answer = await this.ask(url);
    this.adopt(answer);
    return answer;
  }

  /** Sends the next request; the client goes on only when it is told to. */
  async ask(url = this.#url): Promise<DecodedAnswer> {
    return await this.#send(url);
  }

  /** Sends the next request, which may have to wait. */
  asking(url = this.#url): Asking {
    const cancelling = new AbortController();
    return new Asking(this.#send(url, cancelling.signal), cancelling);
  }

  async #send(url: string, cancelled?: AbortSignal): Promise<DecodedAnswer> {
    const { timeoutMs, body } = this.next();
    const query = new URLSearchParams({
      ...(this.#pos !== undefined && { pos: this.#pos }),
      timeout: String(timeoutMs),
    });
    for (let attempt = 1; ; attempt++) {
      const limit = AbortSignal.timeout(this.#limitMs);
      const response = await fetch(`${url}${PATH}?${query}`, {
        method: "POST",
        headers: { authorization: `Bearer ${this.#session.accessToken}`, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: cancelled === undefined ? limit : AbortSignal.any([limit, cancelled]),
      });
      const text = await response.text();
      if (response.status === 200) return checked(JSON.parse(text), body);
      if (response.status !== 429 || attempt === ATTEMPTS) throw new ApiError(`sync?${query}`, response.status, text);
      await pause((JSON.parse(text) as { retry_after_ms: number }).retry_after_ms);
    }
  }
}

/** An answer that the SDK accepts, and matrix-js-sdk too, which dies of an extension that it did not ask for. */
function checked(json: unknown, { extensions = {} }: JsonObject): DecodedAnswer {
  const answer = decodeAnswer(json);
  const unasked = Object.keys(answer.extensions ?? {}).filter((key) => !Object.hasOwn(extensions as object, key));
  if (unasked.length > 0) throw new Error(`nobody asked for the extensions ${unasked.join(", ")}`);
  return answer;
}

/** A request under way that the client may give up. */
class Asking extends WaitingSync {
  readonly #cancelling: AbortController;

  constructor(answer: Promise<DecodedAnswer>, cancelling: AbortController) {
    super(answer);
    this.#cancelling = cancelling;
  }

  /** Breaks the connection; an answer that is there already is thrown away, like one that comes. */
  async cancel(): Promise<void> {
    this.#cancelling.abort();
    await Promise.allSettled([this.answer]);
  }
}
