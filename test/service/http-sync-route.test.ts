import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { expect, test } from "@jest/globals";
import type { SyncCall } from "../../src/http/ports.ts";
import { ClientError } from "../../src/model/client-error.ts";
import { RequestEndedError } from "../../src/model/request-ended-error.ts";
import { TokenDoubtedError } from "../../src/model/token-doubted-error.ts";
import { UnavailableError } from "../../src/model/unavailable-error.ts";
import { json } from "./http-upstream.ts";
import { NOTHING_NEW, SYNC_PATH, startWorld, until, WHOAMI_PATH } from "./http-world.ts";

async function errorOf(response: Response): Promise<{ status: number; errcode: unknown }> {
  const { errcode } = (await response.json()) as { errcode: unknown };
  return { status: response.status, errcode };
}

test("an answer is the dialect's pieces with their length, and no cache keeps it", async () => {
  await using world = await startWorld();
  const response = await world.sync({ query: "?timeout=7" });
  expect(response.status).toBe(200);
  expect(await response.text()).toBe('{"pos":"p1"}');
  const headers = Object.fromEntries(response.headers);
  expect(headers).toMatchObject({
    "content-type": "application/json",
    "content-length": "12",
    "cache-control": "no-store",
  });
  expect(Object.keys(headers)).not.toContain("etag");
  expect(Object.keys(headers)).not.toContain("x-powered-by");
});

test("the sync service learns who asks, what is asked, and what the homeserver should see of the client", async () => {
  await using world = await startWorld();
  await world.sync({
    query: "?timeout=7",
    body: '{"conn_id":"x"}',
    headers: { authorization: "Bearer alice-PHONE", "x-forwarded-for": "203.0.113.9", "user-agent": "Element X" },
  });
  expect(world.calls).toHaveLength(1);
  expect(world.calls[0]).toMatchObject({
    device: {
      userId: "@alice:test",
      deviceId: "PHONE",
      token: "alice-PHONE",
      tokenHash: Buffer.from("hash of alice-PHONE"),
      forwarded: { xForwardedFor: "203.0.113.9, 127.0.0.1", userAgent: "Element X" },
    },
    dialect: { name: "simplified-msc3575" },
    request: { timeoutMs: 7, body: { conn_id: "x" }, reader: "@alice:test" },
  });
  const [whoami] = world.upstream.requestsTo(WHOAMI_PATH);
  expect(whoami?.headers).toMatchObject({ "x-forwarded-for": "203.0.113.9, 127.0.0.1", "user-agent": "Element X" });
});

test("a token in the query is taken, and a token without a device has the device id that is empty", async () => {
  await using world = await startWorld();
  const response = await world.sync({ query: "?access_token=bob", headers: {} });
  expect(response.status).toBe(200);
  expect(world.calls[0]?.device).toMatchObject({ userId: "@bob:test", deviceId: "" });
});

const BAD_REQUESTS: readonly (readonly [
  name: string,
  init: Parameters<World["sync"]>[0],
  status: number,
  errcode: string,
])[] = [
  ["a body that is not JSON", { body: "{" }, 400, "M_NOT_JSON"],
  ["an empty body", { body: "" }, 400, "M_NOT_JSON"],
  ["a body that is not UTF-8", { body: new Uint8Array([0x22, 0xff, 0x22]) }, 400, "M_NOT_JSON"],
  ["an array as body", { body: "[]" }, 400, "M_BAD_JSON"],
  ["null as body", { body: "null" }, 400, "M_BAD_JSON"],
  ["text as body", { body: '"text"' }, 400, "M_BAD_JSON"],
  ["what the dialect rejects", { body: '{"reject":"M_INVALID_PARAM"}' }, 400, "M_INVALID_PARAM"],
  ["an unknown position", { body: '{"reject":"M_UNKNOWN_POS"}' }, 400, "M_UNKNOWN_POS"],
  ["a missing parameter", { body: '{"reject":"M_MISSING_PARAM"}' }, 400, "M_MISSING_PARAM"],
  ["a missing token", { headers: {} }, 401, "M_MISSING_TOKEN"],
  ["an authorization that is no bearer token", { headers: { authorization: "Basic YTpi" } }, 401, "M_MISSING_TOKEN"],
  ["an empty bearer token", { headers: { authorization: "Bearer " } }, 401, "M_MISSING_TOKEN"],
  ["a body above the limit", { body: JSON.stringify({ filler: "x".repeat(2048) }) }, 413, "M_TOO_LARGE"],
  ["another method", { method: "PUT" }, 405, "M_UNRECOGNIZED"],
];
type World = Awaited<ReturnType<typeof startWorld>>;

test.each(BAD_REQUESTS)("%s is refused, and web clients can read why", async (_name, init, status, errcode) => {
  await using world = await startWorld({ bodyLimitBytes: 1024 });
  const response = await world.sync(init);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await errorOf(response)).toEqual({ status, errcode });
  expect(world.calls).toHaveLength(0);
});

test("a method that is not allowed is told which one is", async () => {
  await using world = await startWorld();
  const response = await fetch(`${world.url}${SYNC_PATH}`);
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("POST");
});

test("a body of exactly the limit is read, and one without a length is measured while it comes", async () => {
  await using world = await startWorld({ bodyLimitBytes: 20 });
  const exact = `{"a":"${"x".repeat(12)}"}`;
  expect((await world.sync({ body: exact })).status).toBe(200);
  const pieces = new ReadableStream({
    start: (controller) => {
      controller.enqueue(Buffer.from(exact));
      controller.enqueue(Buffer.from(" "));
      controller.close();
    },
  });
  const response = await world.sync({ body: pieces, duplex: "half" } as RequestInit);
  expect(await errorOf(response)).toEqual({ status: 413, errcode: "M_TOO_LARGE" });
});

test("a client that has sent far too much reads the answer on a connection that stays usable", async () => {
  await using world = await startWorld({ bodyLimitBytes: 1024 });
  const response = await world.sync({ body: Buffer.alloc(4 * 1024 * 1024, 0x20) });
  expect(await errorOf(response)).toEqual({ status: 413, errcode: "M_TOO_LARGE" });
  expect((await world.sync()).status).toBe(200);
});

test("a preflight is answered without a token", async () => {
  await using world = await startWorld();
  const response = await fetch(`${world.url}${SYNC_PATH}`, { method: "OPTIONS" });
  expect(response.status).toBe(204);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": expect.stringContaining("POST"),
    "access-control-allow-headers": expect.stringMatching(/Content-Type.*Authorization/),
  });
  expect(world.upstream.requests).toHaveLength(0);
});

const REFUSALS = [
  [401, { errcode: "M_UNKNOWN_TOKEN", error: "gone", soft_logout: true }],
  [401, { errcode: "M_USER_LOCKED", error: "locked", soft_logout: true }],
  [403, { errcode: "ORG_MATRIX_EXPIRED_ACCOUNT", error: "renew", extra: { a: 1 } }],
  [429, { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 1500 }],
  [500, { errcode: "M_UNKNOWN", error: "Internal server error" }],
  [503, { errcode: "M_UNAVAILABLE", error: "later" }],
] as const;

test.each(REFUSALS)("the homeserver's %d to a token reaches the client unchanged", async (status, body) => {
  await using world = await startWorld();
  world.upstream.on(WHOAMI_PATH, (_request, response) => json(response, status, body));
  const response = await world.sync();
  expect(response.status).toBe(status);
  expect(await response.json()).toEqual(body);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(response.headers.get("retry-after")).toBe(status === 429 ? "2" : null);
});

const GONE = { errcode: "M_UNKNOWN_TOKEN", error: "gone", soft_logout: true };

test("a token that the homeserver refused to the poller meanwhile is refused, though it was valid a moment ago", async () => {
  let isRefused = false;
  await using world = await startWorld({
    answer: async () => {
      if (isRefused) throw new TokenDoubtedError();
      return NOTHING_NEW;
    },
  });
  expect((await world.sync()).status).toBe(200);
  isRefused = true;
  world.upstream.on(WHOAMI_PATH, (_request, response) => json(response, 401, GONE));
  const response = await world.sync();
  expect([response.status, await response.json()]).toEqual([401, GONE]);
});

test("a token that the homeserver accepts, though it refused it to the poller, is served", async () => {
  await using world = await startWorld({
    answer: async ({ device }) => {
      if (!device.isTokenFresh) throw new TokenDoubtedError();
      return NOTHING_NEW;
    },
  });
  expect((await world.sync()).status).toBe(200);
  expect((await world.sync()).status).toBe(200);
  expect(world.upstream.requestsTo(WHOAMI_PATH)).toHaveLength(2);
});

test.each([
  ["a page of a proxy", 502, "<html>"],
  ["a 401 that no Matrix server wrote", 401, "unauthorized"],
  ["a missing route", 404, '{"errcode":"M_UNRECOGNIZED"}'],
  ["no user id", 200, "{}"],
  ["no JSON", 200, "ok"],
])("%s instead of an identity is a bad gateway, never a word about the token", async (_name, status, body) => {
  await using world = await startWorld();
  world.upstream.on(WHOAMI_PATH, (_request, response) => response.writeHead(status).end(body));
  expect(await errorOf(await world.sync())).toEqual({ status: 502, errcode: "M_UNKNOWN" });
});

test("a homeserver that cannot be reached is a bad gateway", async () => {
  await using world = await startWorld();
  await world.upstream[Symbol.asyncDispose]();
  expect(await errorOf(await world.sync())).toEqual({ status: 502, errcode: "M_UNKNOWN" });
});

test("what cannot be answered for the moment says when to come back", async () => {
  await using world = await startWorld({
    answer: async () => {
      throw new UnavailableError("Still starting", 2500);
    },
  });
  const response = await world.sync();
  expect(response.headers.get("retry-after")).toBe("3");
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({ errcode: "M_UNKNOWN", error: "Still starting", retry_after_ms: 2500 });
});

test("a bug is logged with its request and shown to nobody", async () => {
  await using world = await startWorld({
    answer: async () => {
      throw new TypeError("cannot read the secret of undefined");
    },
  });
  const response = await world.sync({
    headers: { authorization: "Bearer alice-PHONE", "x-request-id": "from-proxy.1" },
  });
  expect(response.status).toBe(500);
  expect(await response.json()).toEqual({ errcode: "M_UNKNOWN", error: "Internal error" });
  expect(response.headers.get("x-request-id")).toBe("from-proxy.1");
  const [line] = world.logLines.filter(({ level }) => level === "error");
  expect(line).toMatchObject({
    requestId: "from-proxy.1",
    user: "@alice:test",
    err: { message: expect.stringContaining("undefined") },
  });
});

test("each request has a log line without its token or query", async () => {
  await using world = await startWorld();
  await (await world.sync({ query: "?pos=abc&access_token=secret-X", headers: { "x-request-id": "bad id" } })).text();
  await until(() => world.logLines.length > 0);
  expect(world.logLines).toEqual([
    expect.objectContaining({
      requestId: "id-0",
      method: "POST",
      route: SYNC_PATH,
      status: 200,
      user: "@secret:test",
      device: "X",
    }),
  ]);
  expect(JSON.stringify(world.logLines)).not.toMatch(/access_token|pos=|secret-X/);
});

test("a device that asks too often is told when to come back, and others are not held up", async () => {
  await using world = await startWorld();
  const statuses = new Set<number>();
  for (let n = 0; n < 60; n++) statuses.add((await world.sync()).status);
  expect([...statuses]).toEqual([200]);
  const response = await world.sync();
  expect(response.status).toBe(429);
  expect(await response.json()).toMatchObject({ errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 50 });
  expect(response.headers.get("retry-after")).toBe("1");
  expect((await world.sync({ headers: { authorization: "Bearer alice-TABLET" } })).status).toBe(200);
  world.clock.advance(50);
  expect((await world.sync()).status).toBe(200);
});

test("a client that repeats what is refused is answered a second later", async () => {
  await using world = await startWorld();
  const refused = async () => {
    const startedMs = performance.now();
    expect((await world.sync({ body: "{" })).status).toBe(400);
    return performance.now() - startedMs;
  };
  const [first, second, third] = [await refused(), await refused(), await refused()];
  expect(third).toBeGreaterThan(950);
  expect(Math.max(first, second)).toBeLessThan(third);
  expect((await world.sync()).status).toBe(200);
  expect(await refused()).toBeLessThan(third);
});

test("a client that goes ends its request, and nobody is answered", async () => {
  let ended: unknown;
  await using world = await startWorld({
    answer: async ({ signal }: SyncCall) => {
      await once(signal, "abort");
      ended = signal.reason;
      throw signal.reason;
    },
  });
  const client = new AbortController();
  const response = world.sync({ signal: client.signal }).catch((error: Error) => error.name);
  await until(() => world.calls.length === 1);
  client.abort();
  expect(await response).toBe("AbortError");
  await until(() => ended !== undefined);
  expect(ended).toEqual(new RequestEndedError("client"));
  await until(async () => (await world.metric("slidecar_sync_requests_total", { outcome: "gone" })) === 1);
  await until(() => world.logLines.some(({ outcome }) => outcome === "gone"));
  expect(world.logLines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
});

test("a client that goes while it sends its body is not waited for", async () => {
  await using world = await startWorld();
  const client = httpRequest(`${world.url}${SYNC_PATH}`, {
    method: "POST",
    headers: { authorization: "Bearer alice-PHONE", "content-length": "100" },
  });
  client.on("error", () => undefined);
  client.write("{");
  await until(() => world.upstream.requestsTo(WHOAMI_PATH).length === 1);
  client.destroy();
  await until(async () => (await world.metric("slidecar_sync_requests_total", { outcome: "gone" })) === 1);
  expect(world.calls).toHaveLength(0);
});

test("at shutdown a request that waits is answered as if its time were over, and its connection ends", async () => {
  const world = await startWorld({
    answer: async ({ signal }: SyncCall) => {
      await once(signal, "abort");
      expect(signal.reason).toEqual(new RequestEndedError("shutdown"));
      return NOTHING_NEW;
    },
  });
  const response = world.sync();
  await until(() => world.calls.length === 1);
  const [answered] = await Promise.all([response, world.listeners[Symbol.asyncDispose]()]);
  expect(answered.status).toBe(200);
  expect(answered.headers.get("connection")).toBe("close");
  expect(await answered.json()).toEqual({ pos: "p1" });
  await expect(world.sync()).rejects.toThrow("fetch failed");
  await world[Symbol.asyncDispose]();
});

test("a request that shutdown leaves without an answer is told to come back", async () => {
  const world = await startWorld({
    answer: async ({ signal }: SyncCall) => {
      await once(signal, "abort");
      throw signal.reason;
    },
  });
  const response = world.sync();
  await until(() => world.calls.length === 1);
  await world[Symbol.asyncDispose]();
  expect((await response).status).toBe(503);
  expect((await response).headers.get("retry-after")).toBe("1");
});

test("errors of the sync service are counted by their kind", async () => {
  await using world = await startWorld({
    answer: async () => {
      throw new ClientError("M_UNKNOWN_POS", "Unknown position");
    },
  });
  expect(await errorOf(await world.sync())).toEqual({ status: 400, errcode: "M_UNKNOWN_POS" });
  await world.sync({ body: "{" });
  expect(await world.metric("slidecar_sync_requests_total", { outcome: "unknown_pos" })).toBe(1);
  expect(await world.metric("slidecar_sync_requests_total", { outcome: "rejected" })).toBe(1);
});
