import { parseArgs } from "node:util";
import { startApp } from "./app.ts";
import { profiles } from "./profiles/profiles.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    profile: { type: "string", default: "synapse" },
    "server-name": { type: "string", default: "example.org" },
    "initial-delay": { type: "string", default: "0ms" },
    rooms: { type: "string", default: "0" },
    "events-per-second": { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    "watch-stdin": { type: "boolean", default: false },
  },
});

const profile = profiles[values.profile];
if (profile === undefined)
  throw new Error(`no profile ${values.profile}; there are ${Object.keys(profiles).join(", ")}`);

const app = await startApp({
  port: count(values.port),
  profile,
  serverName: values["server-name"],
  initialDelayMs: durationMs(values["initial-delay"]),
  seed: count(values.seed),
  rooms: count(values.rooms),
  eventsPerSecond: count(values["events-per-second"]),
});

let stopped: PromiseLike<void> | undefined;
// A terminal's Ctrl-C comes as a signal and, through the starting process, as the end of the input.
const stop = () => {
  process.stdin.destroy();
  stopped ??= app[Symbol.asyncDispose]();
  return stopped;
};
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, stop);
if (values["watch-stdin"]) process.stdin.on("end", stop).resume();
console.log(JSON.stringify({ url: `http://127.0.0.1:${app.port}`, ...app.account }));

function count(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value) || value < 0) throw new Error(`not a number: ${text}`);
  return value;
}

function durationMs(text: string): number {
  const [, number, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`not a duration: ${text}`);
  return Number(number) * (unit === "ms" ? 1 : unit === "s" ? 1_000 : 60_000);
}
