import { abortOnce } from "../../lib/abort-once.ts";
import { microseconds } from "../../lib/clock.ts";
import { errorOf } from "../../lib/error-of.ts";
import { JsonLimitError, JsonSyntaxError } from "../../lib/json-errors.ts";
import { pause } from "../../lib/pause.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { UpstreamFault } from "../../model/upstream.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import { FencedError } from "../../store/device-stream.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import { FILTER_WITHOUT_ROOMS } from "./filter.ts";
import { beginBeside, type Sibling } from "./further-device.ts";
import { LastSeen } from "./last-seen.ts";
import { type PollRequest, PollRequests } from "./poll-requests.ts";
import type { PollerDeps } from "./poller-deps.ts";
import { type Arrived, MalformedResponseError, ResponseIntake, type TakenIn } from "./response-intake.ts";
import { StreamPast } from "./stream-past.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

/**
 * How long one upstream poll waits for news. Longer: fewer empty polls. Shorter: a poll whose connection died in silence is
 * noticed sooner.
 */
const POLL_TIMEOUT_MS = 30_000;

/**
 * Synapse gives the same answer to the same question for two minutes. The first poll after a restart must not get what was
 * answered before it: it waits for so many milliseconds at most, each time for others. Larger: many of them take longer. Smaller:
 * an old answer may count as a new one after as many restarts in two minutes.
 */
const CATCH_UP_TIMEOUTS_MS = 16;

/** An access token of the device. */
export interface PollToken {
  readonly text: string;
  /** Tells tokens apart in the store. */
  readonly hash: Buffer;
}

export type PollerEnd =
  | { readonly reason: "shutdown" | "lost-claim" }
  | { readonly reason: "token-refused"; readonly token: PollToken };

/** How a response was asked for that is stored. */
interface Asked {
  readonly since: string | undefined;
  /** It was to come only with news. */
  readonly hasWaited: boolean;
  readonly startedMs: number;
  /** With it the stream has told everything that was stored up to there, or could not tell it. */
  readonly toldUpTo: StreamPosition;
}

/** One device's v2 stream: polls until it is stopped, and never asks for more before what came is stored. */
export class Poller {
  readonly #device: ClaimedDevice;
  readonly #deps: PollerDeps;
  #token: PollToken;
  #since: string | undefined;
  #ignored: ReadonlySet<string> | undefined;
  #isCatchUp = true;
  /** All was stored up to there when what is polled for now was first asked for; undefined: it was not yet. */
  #storedBefore: StreamPosition | undefined;
  /** The next poll asks for all, as a first sync does. */
  #asksAnew = false;
  /** The same ahead of the stream, which goes on from `since` afterwards; the timeout of that poll, in milliseconds. */
  #asksAside: number | undefined;
  #restMs = 0;
  readonly #past = new StreamPast();
  readonly #lastSeen = new LastSeen();
  #toldUpTo: StreamPosition | undefined;
  readonly #requests = new PollRequests();
  /** Aborts when the answer to the first sync begins, and when it is stored. */
  readonly #first = { begins: new AbortController(), ends: new AbortController() };

  /** `ignored`: whom the user ignores, as the stored account data says; undefined: it says nothing. */
  constructor(device: ClaimedDevice, token: PollToken, ignored: ReadonlySet<string> | undefined, deps: PollerDeps) {
    this.#device = device;
    this.#deps = deps;
    this.#token = token;
    this.#since = device.since;
    this.#asksAside = device.asksAnew;
    this.#ignored = ignored ?? (this.#askedSince === undefined ? undefined : new Set());
  }

  /** The token that the next poll is sent with. */
  get token(): PollToken {
    return this.#token;
  }

  /** The device's client has a new access token. */
  useToken(token: PollToken): void {
    this.#token = token;
  }

  /** The stream has a place from which it goes on, and all before it is stored. */
  get hasBegun(): boolean {
    return this.#askedSince !== undefined;
  }

  /** As a {@link Sibling}. */
  get lastSeen(): Sibling["lastSeen"] {
    return this.#lastSeen.events;
  }

  /** As a {@link Sibling}. */
  pollNow(signal: AbortSignal): Promise<boolean> {
    return this.#requests.add(signal);
  }

  async run(signal: AbortSignal): Promise<PollerEnd> {
    using _requests = this.#requests;
    const sibling = this.#since === undefined ? this.#deps.sibling() : undefined;
    if (sibling !== undefined) {
      const begin = () => this.#beginBeside(sibling, signal).catch(() => undefined);
      await this.#deps.admit("catch-up", begin, signal);
    }
    if (this.#askedSince !== undefined) return await this.#run(signal);
    const window = this.#deps.firstWindow({
      device: this.#device,
      token: this.#token.text,
      hasBegun: this.#first.begins.signal,
      signal: AbortSignal.any([signal, this.#first.ends.signal]),
    });
    try {
      return await this.#run(signal);
    } finally {
      this.#first.ends.abort();
      await window;
    }
  }

  async #run(signal: AbortSignal): Promise<PollerEnd> {
    let failures = 0;
    while (!signal.aborted) {
      const token = this.#token;
      try {
        const kind = this.#askedSince === undefined ? "first" : "catch-up";
        let isTold = false;
        const catchUp = async () => {
          isTold = this.#asksAside !== undefined && this.#deps.sibling() !== undefined;
          if (!isTold) await this.#poll(signal);
        };
        if (this.#isCatchUp) await this.#deps.admit(kind, catchUp, signal);
        else await this.#poll(signal);
        // Who claims the device anew knows what the user's other device has brought meanwhile.
        if (isTold) return { reason: "lost-claim" };
        failures = 0;
        if (this.#restMs > 0) await pause(this.#restMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        if (this.#requests.hasInterrupted(error)) continue;
        failures += 1;
        const verdict = this.#verdictOf(error, failures);
        if (verdict.next === "again") await pause(verdict.afterMs, signal);
        else if (verdict.reason === "lost-claim") return { reason: "lost-claim" };
        // A client may have brought a new token while the old one was refused.
        else if (token === this.#token) return { reason: "token-refused", token };
      }
    }
    return { reason: "shutdown" };
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { clock, events, store } = this.#deps;
    const startedMs = clock.nowMs();
    using request = this.#requests.begin(signal);
    const asked = { since: this.#askedSince, hasWaited: !(this.#isCatchUp || request.isHurried) };
    const context = this.#context();
    const intake = new ResponseIntake(context, store, events);
    const body = await this.#ask(request);
    request.isAnswered();
    abortOnce(this.#first.begins);
    let told: Arrived = { bytes: 0, rooms: 0 };
    const tell = asked.since === undefined;
    for await (const chunk of body) {
      await intake.write(chunk);
      if (tell) told = this.#tellProgress(intake.arrived, told);
    }
    const taken = await intake.end();
    abortOnce(this.#first.ends);
    this.#goOn(taken, { ...asked, startedMs, toldUpTo: context.source.storedBefore });
    request.isStored();
  }

  /** What was asked for is stored. */
  #goOn(taken: TakenIn, { toldUpTo, startedMs, ...asked }: Asked): void {
    const { clock, events } = this.#deps;
    const { bytes, isEmpty, hasLost } = taken;
    const isAside = this.#asksAside !== undefined;
    const staysThere = hasLost || isAside;
    this.#storedBefore = undefined;
    if (!staysThere) this.#since = taken.nextBatch;
    this.#ignored = taken.ignored;
    this.#asksAnew = hasLost;
    this.#asksAside = undefined;
    this.#isCatchUp = staysThere;
    this.#toldUpTo = staysThere ? undefined : toldUpTo;
    if (!isAside) this.#lastSeen.noteAll(taken.lastSeen);
    const tookMs = clock.nowMs() - startedMs;
    this.#restMs = this.#past.note({ ...taken, ...asked, tookMs });
    events.onPolled({ seconds: tookMs / 1000, bytes, isEmpty, hasLost, restMs: this.#restMs });
  }

  /** Begins without rooms where a {@link Sibling} brings them. What fails here fails, and is told, with the first sync. */
  async #beginBeside(sibling: Sibling, signal: AbortSignal): Promise<void> {
    const { clock, events, store } = this.#deps;
    const startedMs = clock.nowMs();
    const { source, ...context } = this.#context();
    const { onSetAside } = events;
    const ask = () => this.#request({ timeoutMs: 0, filter: FILTER_WITHOUT_ROOMS, signal });
    const asCatchUp = { ...context, source: { ...source, poll: "catch-up" } } as const;
    const begun = await beginBeside({ context: asCatchUp, store, onSetAside, ask, sibling, signal });
    if (begun === undefined) return;
    this.#lastSeen.noteAll(begun.lastSeen);
    this.#goOn(begun.taken, { since: undefined, hasWaited: false, startedMs, toldUpTo: begun.toldUpTo });
  }

  #tellProgress(all: Arrived, told: Arrived): Arrived {
    this.#deps.events.onProgress(all, { bytes: all.bytes - told.bytes, rooms: all.rooms - told.rooms });
    return all;
  }

  /** undefined: all is asked for. */
  get #askedSince(): string | undefined {
    return this.#asksAnew || this.#asksAside !== undefined ? undefined : this.#since;
  }

  /** What the response can know is fixed before it is asked for; a repeated question may get the answer to the first one. */
  #context() {
    const { userNid, userId, deviceNid, head, firstAsked } = this.#device;
    const { clock, store } = this.#deps;
    const askedAfter = Math.max(head, store.position) as StreamPosition;
    const isBesideStream = this.#asksAside !== undefined;
    this.#storedBefore ??= this.#since === undefined || isBesideStream ? (firstAsked ?? askedAfter) : askedAfter;
    const storedBefore = this.#storedBefore;
    const since = this.#askedSince;
    const poll = since === undefined ? "first" : this.#isCatchUp ? "catch-up" : "live";
    return {
      claim: this.#device,
      source: {
        userNid,
        userId,
        deviceNid,
        poll,
        storedBefore,
        toldUpTo: this.#toldUpTo,
        lastSeen: this.#lastSeen.events,
      },
      ignored: this.#ignored,
      since: this.#since,
      isBesideStream,
      askedAfter,
      past: {
        toDeviceNews: (messages: readonly Buffer[]) => this.#past.toDeviceNews(since, messages),
        hasLost: (nextBatch: string) => this.#past.hasLost(since, nextBatch, clock.nowMs()),
      },
      nowUs: () => microseconds(clock),
    } as const;
  }

  #ask({ hurriedMs, signal }: PollRequest): Promise<AsyncIterable<Buffer>> {
    return this.#request({ timeoutMs: hurriedMs ?? this.#timeoutMs(), filter: this.#deps.filter, signal });
  }

  #request(how: { readonly timeoutMs: number; readonly filter: string; readonly signal: AbortSignal }) {
    const { forwardedFor, userAgent } = this.#device;
    return this.#deps.upstream.syncV2({
      token: this.#token.text,
      since: this.#askedSince,
      forwarded: { xForwardedFor: forwardedFor, userAgent },
      ...how,
    });
  }

  /** Who asks again for a first sync wants the answer that is being computed. */
  #timeoutMs(): number {
    if (this.#askedSince === undefined) return this.#asksAside ?? 0;
    return this.#isCatchUp ? this.#device.epoch % CATCH_UP_TIMEOUTS_MS : POLL_TIMEOUT_MS;
  }

  #verdictOf(error: unknown, failures: number): Verdict {
    const fault = faultOf(error);
    const verdict: Verdict =
      error instanceof FencedError
        ? { next: "stop", reason: "lost-claim" }
        : verdictOf(fault instanceof Error ? { kind: "own" } : fault, failures, this.#deps.random());
    this.#deps.events.onFailed(fault, verdict);
    return verdict;
  }
}

/** A body that is no sync response counts as a fault of the homeserver; what is neither is ours, and is retried too. */
function faultOf(error: unknown): UpstreamFault | Error {
  if (error instanceof UpstreamError) return error.fault;
  if (error instanceof JsonSyntaxError || error instanceof JsonLimitError || error instanceof MalformedResponseError) {
    return { kind: "malformed" };
  }
  return errorOf(error);
}
