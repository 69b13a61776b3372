import type { Clock } from "../../lib/clock.ts";
import type { Forwarded, UpstreamFault } from "../../model/upstream.ts";
import type { FirstWindowOf } from "../first-window/first-window.ts";
import type { Sibling } from "./further-device.ts";
import type { Arrived, IntakeEvents, PartStore } from "./response-intake.ts";
import type { Verdict } from "./verdict.ts";

/** Upstream `/sync`, as far as a poller needs it. */
export interface SyncUpstream {
  syncV2(poll: {
    readonly token: string;
    readonly since: string | undefined;
    readonly timeoutMs: number;
    readonly filter: string;
    readonly forwarded: Forwarded;
    readonly signal: AbortSignal;
  }): Promise<AsyncIterable<Buffer>>;
}

export interface PollerDeps {
  readonly upstream: SyncUpstream;
  readonly store: PartStore;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly filter: string;
  readonly events: PollerEvents;
  /** Runs a first sync, or the first poll after a time without any, when there is a place for it. */
  readonly admit: (kind: "first" | "catch-up", work: () => Promise<void>, signal: AbortSignal) => Promise<unknown>;
  /** Another device of the user that is followed here; undefined: there is none. */
  readonly sibling: () => Sibling | undefined;
  /** Stores what can be shown before the first sync is there; settles when it is done with that, and never rejects. */
  readonly firstWindow: (window: FirstWindowOf) => Promise<unknown>;
}

export interface PollerEvents extends IntakeEvents {
  /** A first sync goes on: what has arrived of it since it began, and since this was last called. */
  onProgress(all: Arrived, news: Arrived): void;
  onPolled(poll: Polled): void;
  onFailed(fault: UpstreamFault | Error, verdict: Verdict): void;
}

/** A poll whose response is stored. */
export interface Polled {
  readonly seconds: number;
  readonly bytes: number;
  readonly isEmpty: boolean;
  /** The homeserver has lost a part of its stream: the next poll asks for all. */
  readonly hasLost: boolean;
  /** How long the next poll waits, because answers come at once and bring nothing. */
  readonly restMs: number;
}
