import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { pause } from "../lib/pause.ts";
import type { Logger } from "../logging/logger.ts";
import type { MetricsPart } from "../metrics/merge.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { IntakeChildInput, IntakeChildMessage, IntakeParentMessage } from "./intake-channel.ts";

/** The first wait before an intake process that ended is started again; it doubles up to the second. */
const FIRST_RESTART_MS = 200;
const MAX_RESTART_MS = 10_000;
/** An intake process that lived so long has not failed at its start. */
const SETTLED_MS = 60_000;

/** Longer: a shutdown waits for a transaction that hangs. Shorter: one that is about to commit is cut and repeated. */
const STOP_GRACE_MS = 8_000;

/** Longer: a scrape hangs on a busy intake. Shorter: its metrics are missing more often. */
const METRICS_WAIT_MS = 2_000;

export interface SupervisorDeps {
  readonly input: IntakeChildInput;
  readonly log: Logger;
  readonly onRestart: () => void;
  /** Everything at or below the position is visible now. */
  readonly onStored: (position: StreamPosition) => void;
}

/** Keeps the intake process running: one that ends is started again. Serving goes on meanwhile. */
export class IntakeSupervisor implements AsyncDisposable {
  readonly #deps: SupervisorDeps;
  readonly #stop = new AbortController();
  readonly #metricsWaiters = new Map<number, (part: MetricsPart) => void>();
  #child: ChildProcess | undefined;
  #isRunning = false;
  #lastMetricsId = 0;
  readonly #done: Promise<void>;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#done = this.#run();
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Metrics of the intake process; undefined: it does not run, or does not answer in time. */
  async metrics(): Promise<MetricsPart | undefined> {
    const child = this.#child;
    if (!this.#isRunning || child === undefined || !child.connected) return undefined;
    this.#lastMetricsId += 1;
    const id = this.#lastMetricsId;
    const answer = new Promise<MetricsPart>((resolve) => this.#metricsWaiters.set(id, resolve));
    child.send({ kind: "metrics", id } satisfies IntakeParentMessage);
    const end = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(METRICS_WAIT_MS)]);
    try {
      return await Promise.race([answer, once(end, "abort").then(() => undefined)]);
    } finally {
      this.#metricsWaiters.delete(id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const child = this.#child;
    if (child?.connected) child.disconnect();
    const kill = setTimeout(() => child?.kill("SIGKILL"), STOP_GRACE_MS);
    await this.#done;
    clearTimeout(kill);
  }

  async #run(): Promise<void> {
    let waitMs = FIRST_RESTART_MS;
    while (!this.#stop.signal.aborted) {
      const startedMs = performance.now();
      await this.#runOnce();
      if (this.#stop.signal.aborted) return;
      waitMs = performance.now() - startedMs > SETTLED_MS ? FIRST_RESTART_MS : waitMs;
      this.#deps.onRestart();
      await pause(waitMs, this.#stop.signal);
      waitMs = Math.min(MAX_RESTART_MS, waitMs * 2);
    }
  }

  async #runOnce(): Promise<void> {
    const { log, input } = this.#deps;
    const child = fork(entry(), { stdio: ["ignore", "inherit", "inherit", "ipc"], serialization: "json" });
    this.#child = child;
    child.on("message", (message: IntakeChildMessage) => {
      if (message.kind === "started") this.#isRunning = true;
      else if (message.kind === "stored") this.#deps.onStored(message.position);
      else this.#metricsWaiters.get(message.id)?.(message.part);
    });
    child.send(input);
    const [exitCode, signal] = (await once(child, "exit")) as [number | null, string | null];
    this.#isRunning = false;
    if (!this.#stop.signal.aborted) log.error({ exitCode, signal }, "the intake process ended and is started again");
  }
}

/** Beside this folder, as source or as built. */
const entry = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith(".ts") ? "../intake-child.ts" : "../intake-child.js", import.meta.url),
  );
