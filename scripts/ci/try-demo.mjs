// Starts `npm run demo` as a person would, asks it for the rooms, waits for a change, presses Ctrl-C, and looks for what is
// left. Plain JavaScript: it runs on the Node of the machine.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 30_000;
const BODY = JSON.stringify({
  lists: { all: { ranges: [[0, 19]], timeline_limit: 1, required_state: [["m.room.name", ""]] } },
});

function check(holds, what) {
  if (!holds) throw new Error(what);
  console.log(`ok: ${what}`);
}

async function until(condition, limitMs, what) {
  const endMs = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error(`not in time: ${what}`);
    await sleep(100);
  }
}

/** The demo's folder for temporary files, which nobody else uses. */
const temporary = mkdtempSync(join(tmpdir(), "slidecar-trial-"));

/** Files that the demo may leave. */
const files = () => [...readdirSync(temporary), ...readdirSync(".")].sort();

/** Processes of this user's demo, by what they were started with. */
function processes() {
  return readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry) || entry === String(process.pid)) return false;
    try {
      const isOurs = readFileSync(`/proc/${entry}/environ`, "utf8").includes(`SLIDECAR_TRIAL=${process.pid}\0`);
      return isOurs || readFileSync(`/proc/${entry}/cmdline`, "utf8").includes(temporary);
    } catch {
      return false;
    }
  });
}

async function sync(url, token, query = "") {
  const response = await fetch(`${url}/_matrix/client/unstable/org.matrix.simplified_msc3575/sync${query}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: BODY,
  });
  if (!response.ok) throw new Error(`sync answered ${response.status}: ${await response.text()}`);
  return await response.json();
}

// The embedded Postgres of root runs as another user.
chmodSync(temporary, 0o755);
const filesBefore = files();
const demo = spawn("npm", ["run", "demo"], {
  stdio: ["ignore", "pipe", "inherit"],
  detached: true,
  env: { ...process.env, SLIDECAR_TRIAL: String(process.pid), TMPDIR: temporary },
});
const gone = once(demo, "exit");
let output = "";
demo.stdout.on("data", (chunk) => {
  output += chunk;
});
try {
  await until(() => output.includes("Ctrl-C") || demo.exitCode !== null, START_LIMIT_MS, "the demo is ready");
  const value = (name) => output.match(new RegExp(`^${name}=(.*)$`, "m"))?.[1] ?? "";
  check(/^ready$/m.test(output) && value("url") !== "" && value("token") !== "", "it prints ready, url and token");
  check(output.includes("curl -s"), "it prints a curl line");
  const first = await sync(value("url"), value("token"));
  check(Object.keys(first.rooms).length === 20, "the answer has 20 rooms");
  // Invites have no timeline. A live event is ordered by when it came in, at most a moment after it was sent.
  const times = Object.values(first.rooms).flatMap((room) => room.timeline?.at(-1)?.origin_server_ts ?? []);
  const isOrdered = times.every((time, index) => index === 0 || time <= times[index - 1] + 1_000);
  check(times.length > 10 && isOrdered, "the newest rooms come first");
  const startedMs = Date.now();
  const second = await sync(value("url"), value("token"), `?timeout=30000&pos=${encodeURIComponent(first.pos)}`);
  check(Object.keys(second.rooms).length > 0, `the next answer came with a change after ${Date.now() - startedMs} ms`);
} finally {
  process.kill(-demo.pid, "SIGINT");
}
await Promise.race([gone, sleep(STOP_LIMIT_MS)]);
await until(() => processes().length === 0, STOP_LIMIT_MS, `no process is left (${processes()})`);
console.log("ok: Ctrl-C leaves no process");
check(JSON.stringify(files()) === JSON.stringify(filesBefore), "Ctrl-C leaves no file");
rmSync(temporary, { recursive: true });
