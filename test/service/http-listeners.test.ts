import { once } from "node:events";
import { mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "@jest/globals";
import type { Readiness } from "../../src/http/internal-app.ts";
import { startListeners } from "../../src/http/listeners.ts";
import { startWorld, until } from "./http-world.ts";

const BOTH = ["client", "internal"] as const;

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "slidecar-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

async function getOn(socketPath: string, path: string): Promise<{ status: number | undefined; body: string }> {
  const request = httpRequest({ socketPath, path, agent: false }).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

test("liveness, readiness and metrics are served", async () => {
  let readiness: Readiness = { isReady: false, reasons: ["the database does not answer"] };
  await using world = await startWorld({ readiness: () => readiness });
  const ask = async (path: string) => await fetch(`${world.url}${path}`);
  expect((await ask("/live")).status).toBe(200);
  const notReady = await ask("/ready");
  expect(notReady.status).toBe(503);
  expect(await notReady.json()).toEqual({ status: "not ready", reasons: ["the database does not answer"] });
  readiness = { isReady: true, reasons: [] };
  expect(await (await ask("/ready")).json()).toEqual({ status: "ready" });
  const metrics = await ask("/metrics");
  expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await metrics.text()).toContain("slidecar_passthrough_requests_total");
});

test("each listener serves what it is there for", async () => {
  const tcp = { kind: "tcp", port: 0, bind: "127.0.0.1" } as const;
  await using world = await startWorld({
    passthrough: false,
    listeners: [
      { ...tcp, resources: ["client"] },
      { ...tcp, resources: ["internal"] },
    ],
  });
  const [client, internal] = world.listeners.addresses.map(({ address }) => address);
  expect((await fetch(`${client}/metrics`)).status).toBe(404);
  expect((await fetch(`${internal}/metrics`)).status).toBe(200);
  const unknown = await fetch(`${internal}/_matrix/client/versions`);
  expect(unknown.status).toBe(404);
  expect(await unknown.json()).toMatchObject({ errcode: "M_UNRECOGNIZED" });
});

test("a socket is served, is for its owner and group only, and is gone afterwards", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "client.sock");
  {
    await using world = await startWorld({ listeners: [{ kind: "unix", path, resources: BOTH }] });
    expect(world.listeners.addresses).toEqual([{ address: path, resources: BOTH }]);
    expect(await getOn(path, "/live")).toEqual({ status: 200, body: '{"status":"live"}' });
    expect((await stat(path)).mode & 0o777).toBe(0o660);
  }
  expect(await readdir(folder.path)).toEqual([]);
});

test("a client on a socket has no address that could be forwarded", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "client.sock");
  await using world = await startWorld({ listeners: [{ kind: "unix", path, resources: ["client"] }] });
  await getOn(path, "/_matrix/client/versions");
  expect(world.upstream.requests[0]?.headers).not.toHaveProperty("x-forwarded-for");
});

test("a socket that a killed process left behind is replaced; one that lives, or is no socket, is not", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "a.sock");
  const listeners = [{ kind: "unix", path, resources: BOTH }] as const;
  await leaveSocketBehind(path);
  {
    await using world = await startWorld({ listeners });
    expect((await getOn(path, "/live")).status).toBe(200);
    await expect(startWorld({ listeners })).rejects.toThrow(`listeners[0].socket: ${path} is already in use`);
    expect((await getOn(world.url, "/live")).status).toBe(200);
  }
  await writeFile(path, "precious");
  await expect(startWorld({ listeners })).rejects.toThrow(`listeners[0].socket: ${path} is already in use`);
  expect((await stat(path)).size).toBe("precious".length);
});

/** Renamed while it is open, a socket is not removed by the server that made it. */
async function leaveSocketBehind(path: string): Promise<void> {
  const server = createServer().listen(`${path}.old`);
  await once(server, "listening");
  await rename(`${path}.old`, path);
  server.close();
  await once(server, "close");
}

test("a port that is in use is an error that names its key, and no listener stays open", async () => {
  await using world = await startWorld();
  const port = Number(new URL(world.url).port);
  await using folder = await temporaryFolder();
  const path = join(folder.path, "a.sock");
  const refused = startListeners(
    [
      { kind: "unix", path, resources: ["client"] },
      { kind: "tcp", port, bind: "127.0.0.1", resources: ["client"] },
    ],
    { client: () => undefined, internal: () => undefined },
    { stopping: new AbortController() },
  );
  await expect(refused).rejects.toThrow(`listeners[1].port: ${port} on 127.0.0.1 is already in use`);
  expect(await readdir(folder.path)).toEqual([]);
});

test("an address that is not this machine's, and a folder that is not there, are errors that say so", async () => {
  const elsewhere = { kind: "tcp", port: 0, bind: "203.0.113.1", resources: BOTH } as const;
  await expect(startWorld({ listeners: [elsewhere] })).rejects.toThrow("is not an address of this machine");
  const nowhere = { kind: "unix", path: "/nonexistent/a.sock", resources: BOTH } as const;
  await expect(startWorld({ listeners: [nowhere] })).rejects.toThrow("is in a folder that is not there");
});

test("shutdown ends idle connections at once and waits for answers on their way", async () => {
  const world = await startWorld();
  world.upstream.on("/slow", (_request, response) => {
    response.write("first ");
    held.push(() => response.end("last"));
  });
  const held: (() => void)[] = [];
  const agent = new Agent({ keepAlive: true });
  const idle = httpRequest(`${world.url}/live`, { agent }).end();
  const [live] = (await once(idle, "response")) as [IncomingMessage];
  await text(live);
  const slow = await fetch(`${world.url}/slow`);
  const closed = world.listeners[Symbol.asyncDispose]();
  await until(() => Object.values(agent.freeSockets).length === 0);
  held[0]?.();
  expect(await slow.text()).toBe("first last");
  await closed;
  await world[Symbol.asyncDispose]();
});

test("shutdown cuts what does not end within its time, and may be asked for twice", async () => {
  const world = await startWorld({ graceMs: 50 });
  world.upstream.on("/endless", (_request, response) => response.write("first"));
  const endless = await fetch(`${world.url}/endless`);
  await Promise.all([world.listeners[Symbol.asyncDispose](), expect(endless.text()).rejects.toThrow("terminated")]);
  await world.listeners[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});
