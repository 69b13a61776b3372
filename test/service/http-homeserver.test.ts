import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { expect, test } from "@jest/globals";
import { createHomeserver, type Homeserver, type HomeserverOptions } from "../../src/homeserver/client.ts";
import { UpstreamError } from "../../src/model/upstream-error.ts";
import { json, startUpstream, type TestUpstream } from "./http-upstream.ts";
import { until } from "./http-world.ts";

const SYNC_PATH = "/_matrix/client/v3/sync";
const WHOAMI_PATH = "/_matrix/client/v3/account/whoami";
const NOBODY = { xForwardedFor: undefined, userAgent: undefined };

interface Pair extends AsyncDisposable {
  readonly upstream: TestUpstream;
  readonly homeserver: Homeserver;
}

async function startPair(limits: HomeserverOptions["limits"] = {}): Promise<Pair> {
  const upstream = await startUpstream();
  const homeserver = createHomeserver({ url: `${upstream.url}/`, limits });
  return {
    upstream,
    homeserver,
    [Symbol.asyncDispose]: async () => {
      await homeserver[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

type Poll = Parameters<Homeserver["syncV2"]>[0];

const poll = (homeserver: Homeserver, options: Partial<Poll> = {}) =>
  homeserver.syncV2({
    token: "t",
    since: "s1",
    timeoutMs: 0,
    filter: "{}",
    forwarded: NOBODY,
    signal: new AbortController().signal,
    ...options,
  });

async function faultOf(work: Promise<unknown>): Promise<UpstreamError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UpstreamError);
  return error as UpstreamError;
}

async function read(pieces: AsyncIterable<Buffer>): Promise<string> {
  return (await buffer(pieces)).toString();
}

test("whoami tells user, device and guest, and a token without a device has none", async () => {
  await using pair = await startPair();
  const answers: object[] = [{ user_id: "@a:x", device_id: "D", is_guest: true }, { user_id: "@a:x" }];
  pair.upstream.on(WHOAMI_PATH, (_request, response) => json(response, 200, answers.shift()));
  const { homeserver, upstream } = pair;
  const forwarded = { xForwardedFor: "203.0.113.9", userAgent: "Element" };
  expect(await homeserver.whoami("t", forwarded)).toEqual({
    kind: "known",
    userId: "@a:x",
    deviceId: "D",
    isGuest: true,
  });
  expect(await homeserver.whoami("t", NOBODY)).toEqual({ kind: "known", userId: "@a:x", deviceId: "", isGuest: false });
  expect(upstream.requests[0]?.headers).toMatchObject({
    authorization: "Bearer t",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-proto": "https",
    "user-agent": "Element",
  });
});

test.each([401, 403])("whoami hands a refusal (%d) on byte by byte", async (status) => {
  await using pair = await startPair();
  const body = `{ "errcode":"M_X",  "error":"é" }`;
  pair.upstream.on(WHOAMI_PATH, (_request, response) => response.writeHead(status).end(body));
  const refused = { kind: "refused", status, errcode: "M_X", body: Buffer.from(body) };
  expect(await pair.homeserver.whoami("t", NOBODY)).toEqual(refused);
});

test("a status that is neither yes nor no is a failure with all that it says", async () => {
  await using pair = await startPair();
  pair.upstream.on(WHOAMI_PATH, (_request, response) =>
    json(response, 429, { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 1200 }),
  );
  const error = await faultOf(pair.homeserver.whoami("t", NOBODY));
  expect(error.fault).toEqual({ kind: "status", status: 429, errcode: "M_LIMIT_EXCEEDED", retryAfterMs: 1200 });
  expect(JSON.parse(String(error.body))).toEqual({ errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 1200 });
});

test("a short call ends in time, also when the answer stops half-way", async () => {
  await using pair = await startPair({ shortCallMs: 50 });
  pair.upstream.on(WHOAMI_PATH, (_request, response) => response.write("{"));
  expect((await faultOf(pair.homeserver.whoami("t", NOBODY))).fault).toEqual({ kind: "timeout" });
});

test("an answer without end is not read without end", async () => {
  await using pair = await startPair();
  pair.upstream.on(WHOAMI_PATH, (_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
    };
    response.on("drain", more);
    more();
  });
  expect((await faultOf(pair.homeserver.whoami("t", NOBODY))).fault).toEqual({ kind: "malformed" });
});

test("versions come with status, headers and JSON, whatever the status", async () => {
  await using pair = await startPair();
  pair.upstream.on("/_matrix/client/versions", (_request, response) =>
    json(response, 503, { errcode: "M_X" }, { "retry-after": "3" }),
  );
  expect(await pair.homeserver.versions("Bearer t", NOBODY)).toMatchObject({
    status: 503,
    headers: { "retry-after": "3" },
    json: { errcode: "M_X" },
  });
});

test("short calls do not wait behind long polls", async () => {
  await using pair = await startPair();
  const { homeserver, upstream } = pair;
  upstream.on(SYNC_PATH, () => undefined);
  upstream.on(WHOAMI_PATH, (_request, response) => json(response, 200, { user_id: "@a:x" }));
  const end = new AbortController();
  const polls = Array.from({ length: 100 }, () => poll(homeserver, { signal: end.signal }).catch(() => "ended"));
  await until(() => upstream.requestsTo(SYNC_PATH).length === 100);
  expect(await homeserver.whoami("t", NOBODY)).toMatchObject({ userId: "@a:x" });
  end.abort();
  expect(new Set(await Promise.all(polls))).toEqual(new Set(["ended"]));
});

test("a poll asks without presence, for the state after, under both names", async () => {
  await using pair = await startPair();
  pair.upstream.on(SYNC_PATH, (_request, response) => json(response, 200, {}));
  const forwarded = { xForwardedFor: "203.0.113.9", userAgent: "Element" };
  await read(await poll(pair.homeserver, { since: undefined, timeoutMs: 30_000, filter: '{"a":"ä&"}', forwarded }));
  await read(await poll(pair.homeserver, { since: "s1_2", fullState: true }));
  const [first, second] = pair.upstream.requests.map(({ url = "" }) =>
    Object.fromEntries(new URL(url, "http://x").searchParams),
  );
  expect(first).toEqual({
    timeout: "30000",
    filter: '{"a":"ä&"}',
    set_presence: "offline",
    use_state_after: "true",
    "org.matrix.msc4222.use_state_after": "true",
  });
  expect(second).toMatchObject({ since: "s1_2", full_state: "true", timeout: "0" });
  expect(pair.upstream.requests[0]?.headers).toMatchObject({
    authorization: "Bearer t",
    "x-forwarded-for": "203.0.113.9",
    "user-agent": "Element",
  });
});

test("a poll's body is handed out while it arrives", async () => {
  await using pair = await startPair();
  const responses: ServerResponse[] = [];
  pair.upstream.on(SYNC_PATH, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
    response.write('{"next_batch":');
    responses.push(response);
  });
  const pieces = (await poll(pair.homeserver))[Symbol.asyncIterator]();
  expect(String((await pieces.next()).value)).toBe('{"next_batch":');
  responses[0]?.end('"s2"}');
  expect(String((await pieces.next()).value)).toBe('"s2"}');
  expect(await pieces.next()).toEqual({ done: true, value: undefined });
});

test("a reader that stops early ends the poll", async () => {
  await using pair = await startPair();
  let isClosed = false;
  pair.upstream.on(SYNC_PATH, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).write("{");
    response.once("close", () => {
      isClosed = true;
    });
  });
  for await (const piece of await poll(pair.homeserver)) {
    expect(String(piece)).toBe("{");
    break;
  }
  await until(() => isClosed);
});

test.each([
  [401, { errcode: "M_UNKNOWN_TOKEN", soft_logout: true }, "M_UNKNOWN_TOKEN"],
  [403, { errcode: "M_FORBIDDEN" }, "M_FORBIDDEN"],
  [502, "no JSON object", undefined],
] as const)("a poll that is answered with %d fails with what the answer says", async (status, body, errcode) => {
  await using pair = await startPair();
  pair.upstream.on(SYNC_PATH, (_request, response) => json(response, status, body));
  const { fault } = await faultOf(poll(pair.homeserver));
  expect(fault).toEqual({ kind: "status", status, errcode, retryAfterMs: undefined });
});

test("a poll that is answered with something else than JSON is malformed", async () => {
  await using pair = await startPair();
  pair.upstream.on(SYNC_PATH, (_request, response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<"),
  );
  expect((await faultOf(poll(pair.homeserver))).fault).toEqual({ kind: "malformed" });
});

test("a poll that does not begin in time fails; an initial one has a limit of its own", async () => {
  await using pair = await startPair({ beyondTimeoutMs: 50, initialMs: 60_000 });
  const responses: ServerResponse[] = [];
  pair.upstream.on(SYNC_PATH, (_request, response) => responses.push(response));
  const initial = poll(pair.homeserver, { since: undefined });
  expect((await faultOf(poll(pair.homeserver))).fault).toEqual({ kind: "timeout" });
  await until(() => responses.length === 2);
  for (const response of responses) json(response, 200, { late: true });
  expect(await read(await initial)).toBe('{"late":true}');
});

test("a body that stops arriving fails, and so does one that breaks off", async () => {
  await using pair = await startPair({ idleMs: 50 });
  pair.upstream.on(SYNC_PATH, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).write("{");
  });
  expect((await faultOf(read(await poll(pair.homeserver)))).fault).toEqual({ kind: "timeout" });
  pair.upstream.on(SYNC_PATH, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write("{", () => response.destroy());
  });
  expect((await faultOf(read(await poll(pair.homeserver)))).fault).toEqual({ kind: "unreachable" });
});

test("a body that never ends fails, though it is never silent", async () => {
  await using pair = await startPair({ bodyMs: 50 });
  pair.upstream.on(SYNC_PATH, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const dripping = setInterval(() => response.write(" "), 5);
    response.on("close", () => clearInterval(dripping));
  });
  expect((await faultOf(read(await poll(pair.homeserver)))).fault).toEqual({ kind: "timeout" });
});

test("an abort ends a poll with the signal's reason, before and within the body", async () => {
  await using pair = await startPair();
  let isClosed = false;
  pair.upstream.on(SYNC_PATH, (request, response) => {
    response.once("close", () => {
      isClosed = true;
    });
    if (request.url?.includes("body") === true) {
      response.writeHead(200, { "content-type": "application/json" }).write("{");
    }
  });
  for (const since of ["none", "body"]) {
    isClosed = false;
    const end = new AbortController();
    const reading = poll(pair.homeserver, { since, signal: end.signal }).then(read);
    await until(() => pair.upstream.requests.at(-1)?.url?.includes(since) === true);
    end.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    await until(() => isClosed);
  }
});

test("a homeserver that is not there is unreachable for every call", async () => {
  await using pair = await startPair();
  await pair.upstream[Symbol.asyncDispose]();
  const calls = [
    pair.homeserver.whoami("t", NOBODY),
    pair.homeserver.versions(undefined, NOBODY),
    poll(pair.homeserver),
    pair.homeserver.pass({
      method: "GET",
      target: "/",
      rawHeaders: [],
      body: undefined,
      forwarded: NOBODY,
      signal: new AbortController().signal,
    }),
  ];
  for (const call of calls) expect((await faultOf(call)).fault).toEqual({ kind: "unreachable" });
});

test("disposing cuts calls that wait", async () => {
  await using upstream = await startUpstream();
  const homeserver = createHomeserver({ url: upstream.url });
  upstream.on(SYNC_PATH, () => undefined);
  const waiting = faultOf(poll(homeserver));
  await until(() => upstream.requests.length === 1);
  const closed = once(upstream.requests[0]!.socket, "close");
  await homeserver[Symbol.asyncDispose]();
  expect((await waiting).fault).toEqual({ kind: "unreachable" });
  await closed;
});
