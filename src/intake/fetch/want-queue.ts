import type { ReadCall } from "../../homeserver/get-as-user.ts";
import { isFinalStatus } from "../../homeserver/value-reads.ts";
import { errorOf } from "../../lib/error-of.ts";
import type { UserNid } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import type { Database } from "../../store/database.ts";
import type { Caller } from "./callers.ts";
import { UserPlaces } from "./user-places.ts";

/** One kind of what answers lack and the homeserver is asked for, as the users who want it. */
export interface WantKind<Want, Outcome extends string> {
  /** On which a process that serves clients says that a user wants something; the payload is the user's number. */
  readonly channel: string;
  /** What is asked for at a time: in all, and of one user. */
  readonly places: { readonly all: number; readonly ofUser: number };
  /** What may wait; more is dropped. */
  readonly maxWaiting: number;
  /** One want is asked for so long at most. */
  readonly readMs: number;
  /** After so many seconds it may be asked for again. */
  readonly againAfterSeconds: Readonly<Record<Outcome | "dropped", number>>;
  /** What a user wants and nobody asks for yet. */
  take(db: Database, userNid: UserNid): Promise<readonly Want[]>;
  /** Notes that it was asked for; returns the position of that. */
  settle(db: Database, userNid: UserNid, want: Want, againAfterSeconds: number): Promise<StreamPosition | undefined>;
  /** Asks for it and stores what comes. */
  bring(caller: Caller, call: ReadCall, want: Want): Promise<Outcome>;
  outcomeOf(error: Error): Outcome;
}

export interface WantQueueDeps<Want, Outcome extends string> {
  readonly db: Database;
  readonly callerOf: (userNid: UserNid) => Caller | undefined;
  readonly onPosition: (position: StreamPosition) => void;
  readonly onSettled: (want: Want, outcome: Outcome | "dropped", error: Error | undefined) => void;
  readonly onError: (error: Error) => void;
}

/** Asks the homeserver for what is wanted, once each: nothing is tried again before it is wanted again. */
export class WantQueue<Want, Outcome extends string> {
  readonly #kind: WantKind<Want, Outcome>;
  readonly #deps: WantQueueDeps<Want, Outcome>;
  readonly #end = new AbortController();
  readonly #places: UserPlaces;
  readonly #running = new Set<Promise<void>>();

  constructor(kind: WantKind<Want, Outcome>, deps: WantQueueDeps<Want, Outcome>) {
    this.#kind = kind;
    this.#deps = deps;
    this.#places = new UserPlaces(kind.places.all, kind.places.ofUser);
  }

  /** Begins to listen for wants; what is disposed ends that, not what is being asked for. */
  async listen(): Promise<AsyncDisposable> {
    const onWanted = (payload: string) => this.#run(this.#take(Number(payload) as UserNid));
    return await this.#deps.db.listen(this.#kind.channel, onWanted, () => {});
  }

  /** Gives up what is being asked for and what waits. */
  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#running);
  }

  #run(work: Promise<void>): void {
    const running = work
      .catch((thrown: unknown) => {
        if (!this.#end.signal.aborted) this.#deps.onError(errorOf(thrown));
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #take(userNid: UserNid): Promise<void> {
    const { db, callerOf } = this.#deps;
    // Another process polls for the user, or none does yet.
    if (!Number.isSafeInteger(userNid) || callerOf(userNid) === undefined || this.#end.signal.aborted) return;
    for (const want of await this.#kind.take(db, userNid)) this.#run(this.#ask(userNid, want));
  }

  async #ask(userNid: UserNid, want: Want): Promise<void> {
    if (this.#running.size > this.#kind.maxWaiting) return await this.#settle(userNid, want, "dropped", undefined);
    await this.#places.run(userNid, () => this.#askNow(userNid, want), this.#end.signal);
  }

  async #askNow(userNid: UserNid, want: Want): Promise<void> {
    const caller = this.#deps.callerOf(userNid);
    if (caller === undefined) return await this.#settle(userNid, want, "dropped", undefined);
    const { token, forwarded } = caller;
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.#kind.readMs)]);
    let error: Error | undefined;
    const outcome = await this.#kind.bring(caller, { token, forwarded, signal }, want).catch((thrown: unknown) => {
      error = errorOf(thrown);
      return this.#kind.outcomeOf(error);
    });
    if (!this.#end.signal.aborted) await this.#settle(userNid, want, outcome, error);
  }

  async #settle(userNid: UserNid, want: Want, outcome: Outcome | "dropped", error: Error | undefined): Promise<void> {
    const { db, onPosition, onSettled } = this.#deps;
    onSettled(want, outcome, error);
    const position = await this.#kind.settle(db, userNid, want, this.#kind.againAfterSeconds[outcome]);
    if (position !== undefined) onPosition(position);
  }
}

/** What a homeserver that failed to answer will say again whenever it is asked; undefined: it may do better. */
export function finalFault(error: Error): "malformed" | "status" | undefined {
  if (!(error instanceof UpstreamError)) return undefined;
  const { fault } = error;
  if (fault.kind === "malformed") return "malformed";
  return fault.kind === "status" && isFinalStatus(fault.status) ? "status" : undefined;
}
