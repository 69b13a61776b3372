// Entry of the process that takes data in. Its parent sends what it needs over the channel between them, since arguments and
// environment of a process can be read by others; it ends when the channel closes, so that it never outlives its parent.
import { once } from "node:events";
import { Registry } from "prom-client";
import type { IntakeChildInput, IntakeChildMessage, IntakeParentMessage } from "./cli/intake-channel.ts";
import { runIntake } from "./intake-app.ts";
import { createLogger } from "./logging/logger.ts";
import { createMetrics } from "./metrics/metrics.ts";

/** How a process with a channel to its parent speaks. A parent that is gone is noticed by the channel's end, not here. */
function send(message: IntakeChildMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

async function main(): Promise<void> {
  // Ctrl-C reaches the whole group; the parent decides when this process ends.
  process.on("SIGINT", () => undefined);
  const stop = new AbortController();
  process.once("disconnect", () => stop.abort());
  const [input] = (await once(process, "message")) as [IntakeChildInput];
  const registry = new Registry();
  const metrics = createMetrics(registry);
  const log = createLogger(input.config.logging).child({ role: "intake" });
  process.on("message", async (message: IntakeParentMessage) => {
    if (message.kind === "metrics") send({ kind: "metrics", id: message.id, part: await registry.getMetricsAsJSON() });
  });
  send({ kind: "started" });
  try {
    await runIntake(
      { ...input, log, metrics, onStored: (position) => send({ kind: "stored", position }) },
      stop.signal,
    );
  } catch (error) {
    log.error({ err: error }, "intake ended by an error");
    process.exitCode = 1;
  }
  if (process.connected) process.disconnect();
}

await main();
