// A poller in front of a scripted homeserver and a store that only notes.
import type { FirstWindowOf } from "../../../src/intake/first-window/first-window.ts";
import type { ResponsePart } from "../../../src/intake/ingest/part.ts";
import type { Sibling } from "../../../src/intake/poller/further-device.ts";
import { Poller, type PollToken } from "../../../src/intake/poller/poller.ts";
import type { Polled, PollerDeps, SyncUpstream } from "../../../src/intake/poller/poller-deps.ts";
import type { Verdict } from "../../../src/intake/poller/verdict.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import type { UpstreamFault } from "../../../src/model/upstream.ts";
import { UpstreamError } from "../../../src/model/upstream-error.ts";
import type { ClaimedDevice } from "../../../src/store/devices.ts";

type Poll = Parameters<SyncUpstream["syncV2"]>[0];
/** What the homeserver does with a poll. */
export type Answer = (poll: Poll) => object | string | Promise<object | string>;

export const token = (text: string): PollToken => ({ text, hash: Buffer.from(text) });
export const refuse = (status: number) => {
  throw new UpstreamError("refused", { kind: "status", status, errcode: undefined, retryAfterMs: undefined });
};

/** A poller in front of scripted answers; after the last one it is stopped. */
export class Stage {
  readonly polls: Poll[] = [];
  readonly parts: ResponsePart[] = [];
  readonly failures: { readonly fault: UpstreamFault | Error; readonly verdict: Verdict }[] = [];
  stop = new AbortController();
  readonly poller: Poller;
  readonly #answers: Answer[];
  readonly admitted: string[] = [];
  readonly windows: FirstWindowOf[] = [];
  readonly progress: unknown[] = [];
  readonly polled: Polled[] = [];
  sibling: Sibling | undefined;
  position = 0 as StreamPosition;
  nowMs = 1_000;
  /** Called with every live part, before it counts as stored. */
  onStore: (part: ResponsePart) => void = () => {};

  constructor(answers: Answer[], device: Partial<ClaimedDevice> = {}, ignored?: ReadonlySet<string>) {
    this.#answers = answers;
    const claimed = { userId: "@alice:test", since: "s0", head: 3, epoch: 0, ...device } as ClaimedDevice;
    this.poller = new Poller(claimed, token("first"), ignored, this.#deps());
  }

  run() {
    return this.poller.run(this.stop.signal);
  }

  #deps(): PollerDeps {
    const stage = this;
    return {
      upstream: { syncV2: (poll) => this.#answer(poll) },
      store: {
        get position() {
          return stage.position;
        },
        live: async (part) => {
          stage.onStore(part);
          stage.parts.push(part);
        },
        bulk: async (part) => void stage.parts.push(part),
      },
      clock: { nowMs: () => this.nowMs },
      random: () => 0,
      filter: "the filter",
      events: {
        onProgress: (all, news) => void this.progress.push([all, news]),
        onPolled: (polled) => {
          this.polled.push(polled);
          // Nor is a rest.
          if (polled.restMs > 0) setImmediate(() => this.stop.abort());
        },
        onFailed: (fault, verdict) => {
          this.failures.push({ fault, verdict });
          // The wait before the next poll is not what is looked at.
          if (verdict.next === "again") setImmediate(() => this.stop.abort());
        },
        onSetAside: () => {},
      },
      sibling: () => this.sibling,
      firstWindow: async (window) => {
        this.windows.push(window);
      },
      admit: async (kind, work) => {
        this.admitted.push(kind);
        return await work();
      },
    };
  }

  async #answer(poll: Poll): Promise<AsyncIterable<Buffer>> {
    this.polls.push(poll);
    const answer = this.#answers.shift();
    if (answer === undefined) {
      this.stop.abort();
      throw poll.signal.reason;
    }
    const body = await answer(poll);
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return (async function* () {
      yield Buffer.from(text);
    })();
  }
}

export const next =
  (next_batch: string, more: object = {}): Answer =>
  () => ({ next_batch, ...more });
