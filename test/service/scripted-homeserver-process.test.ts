import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "@jest/globals";
import { startHomeserver } from "../support/homeserver/start.ts";

const MAIN = fileURLToPath(new URL("../support/homeserver/main.ts", import.meta.url));

function start(...flags: string[]): ChildProcess {
  return spawn(process.execPath, ["--no-warnings", MAIN, "--port", "0", ...flags], { stdio: ["pipe", "pipe", "pipe"] });
}

async function readyLine(child: ChildProcess): Promise<Record<string, unknown>> {
  for await (const line of createInterface({ input: child.stdout! })) return JSON.parse(line);
  throw new Error("it ended before it was ready");
}

describe("the process of the scripted homeserver", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("says where it listens, and ends on %s", async (signal) => {
    const child = start();
    const { url } = await readyLine(child);
    expect(await (await fetch(`${url}/health`)).text()).toBe("OK");
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("ends when its standard input closes, if it is told to watch it", async () => {
    const child = start("--watch-stdin");
    await readyLine(child);
    child.stdin!.end();
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("ends with long polls under way", async () => {
    await using homeserver = await startHomeserver();
    const alice = await homeserver.register("alice");
    const { next_batch: since } = await alice.sync();
    const poll = alice.sync({ since, timeout: 60_000 });
    const refused = expect(poll).rejects.toThrow();
    await homeserver.control.untilPollsHeld(1);
    await homeserver[Symbol.asyncDispose]();
    await refused;
  });

  test("says what is wrong with its flags", async () => {
    const child = start("--profile", "conduit");
    let text = "";
    child.stderr!.on("data", (chunk) => {
      text += chunk;
    });
    expect(await once(child, "close")).toEqual([1, null]);
    expect(text).toContain("no profile conduit; there are synapse");
  });

  test("the lively account has a token that is known beforehand", async () => {
    const child = start("--rooms", "5", "--events-per-second", "1", "--seed", "3");
    const ready = await readyLine(child);
    expect(ready).toMatchObject({ userId: "@demo:example.org", deviceId: "DEMODEVICE" });
    const headers = { authorization: `Bearer ${ready.token}` };
    const response = await fetch(`${ready.url}/_matrix/client/v3/joined_rooms`, { headers });
    expect((await response.json()) as object).toMatchObject({
      joined_rooms: expect.arrayContaining([expect.any(String)]),
    });
    child.kill("SIGTERM");
    await once(child, "exit");
  });
});
