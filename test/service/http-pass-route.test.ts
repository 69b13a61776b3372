import { createHash } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { expect, test } from "@jest/globals";
import { json } from "./http-upstream.ts";
import { STORED, startWorld, until, type World } from "./http-world.ts";

const MEDIA_PATH = "/_matrix/media/v3/upload";
const MIB = 1024 * 1024;

/** 64 MiB that differ from piece to piece, made while they are read. */
function largeBody(): Readable {
  return Readable.from(
    (function* () {
      for (let n = 0; n < 64; n++) yield Buffer.alloc(MIB, n);
    })(),
    { objectMode: false },
  );
}

async function hashOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

/** Without the conveniences of fetch, which hides what is on the wire. */
async function ask(url: string, options: RequestOptions, body?: Readable): Promise<IncomingMessage> {
  const request = httpRequest(url, { agent: false, ...options });
  const answered = once(request, "response") as Promise<[IncomingMessage]>;
  if (body === undefined) request.end();
  else pipeline(body, request).catch(() => undefined);
  const [response] = await answered;
  return response;
}

const passed = (world: World, outcome: string) => world.metric("slidecar_passthrough_requests_total", { outcome });

test("a request reaches the homeserver as the client wrote it, but for what concerns the connection", async () => {
  await using world = await startWorld({ upstreamPrefix: "/hs" });
  const path = "/_matrix/client/v3/rooms/%21a%2Fb:test/send/m.room.message/1%2f2";
  let body = "";
  world.upstream.on(`/hs${path}`, async (request, response) => {
    body = (await buffer(request)).toString();
    json(response, 200, {});
  });
  const response = await ask(
    `${world.url}${path}?a=%20b&c=d+e`,
    {
      method: "PUT",
      headers: {
        Authorization: "Bearer alice-PHONE",
        "X-Forwarded-For": "203.0.113.9",
        Connection: "X-Hop",
        "X-Hop": "1",
        TE: "trailers",
        "Proxy-Authorization": "Basic YTpi",
        Expect: "100-continue",
        "X-Twice": ["1", "2"],
        "Content-Length": 11,
      },
    },
    Readable.from(["hello world"]),
  );
  expect(response.statusCode).toBe(200);
  expect(body).toBe("hello world");
  const [request] = world.upstream.requests;
  expect(request?.method).toBe("PUT");
  expect(request?.url).toBe(`/hs${path}?a=%20b&c=d+e`);
  expect(request?.headers).toMatchObject({
    host: new URL(world.upstream.url).host,
    authorization: "Bearer alice-PHONE",
    "x-forwarded-for": "203.0.113.9, 127.0.0.1",
    "x-twice": "1, 2",
    "content-length": "11",
  });
  for (const name of ["x-hop", "te", "proxy-authorization", "expect", "transfer-encoding"]) {
    expect(request?.headers).not.toHaveProperty(name);
  }
});

test("an answer reaches the client as the homeserver wrote it, but for what concerns the connection", async () => {
  await using world = await startWorld();
  world.upstream.on("/_matrix/client/v3/login", (_request, response) => {
    response.writeHead(302, {
      Location: "https://sso.test/?a=b",
      "Set-Cookie": ["a=1", "b=2"],
      Connection: "X-Hop",
      "X-Hop": "1",
      "X-Name": "é",
      "Access-Control-Allow-Origin": "https://app.test",
    });
    response.end("moved");
  });
  const response = await ask(`${world.url}/_matrix/client/v3/login`, {});
  expect(response.statusCode).toBe(302);
  expect(response.headers).toMatchObject({
    location: "https://sso.test/?a=b",
    "set-cookie": ["a=1", "b=2"],
    "x-name": "é",
    "access-control-allow-origin": "https://app.test",
  });
  expect(response.headers).not.toHaveProperty("x-hop");
  expect((await buffer(response)).toString()).toBe("moved");
  await until(async () => (await passed(world, "answered")) === 1);
});

test.each([
  "/_matrix/media/v3/config",
  "/.well-known/matrix/client",
  "/_synapse/client/x",
  "/",
  "/%zz",
])("%s goes to the homeserver", async (path) => {
  await using world = await startWorld();
  world.upstream.on(path, (_request, response) => json(response, 200, { here: path }));
  const response = await ask(`${world.url}${path}`, {});
  expect(JSON.parse((await buffer(response)).toString())).toEqual({ here: path });
});

test("preflights of paths that are passed on are the homeserver's to answer", async () => {
  await using world = await startWorld();
  world.upstream.on("/_synapse/client/rendezvous", (_request, response) =>
    response.writeHead(204, { "access-control-allow-headers": "If-Match" }).end(),
  );
  const response = await ask(`${world.url}/_synapse/client/rendezvous`, { method: "OPTIONS" });
  expect(response.statusCode).toBe(204);
  expect(response.headers["access-control-allow-headers"]).toBe("If-Match");
});

test("HEAD is passed on with the length of what it does not carry", async () => {
  await using world = await startWorld();
  world.upstream.on("/file", (_request, response) => response.writeHead(200, { "content-length": "77" }).end());
  const response = await ask(`${world.url}/file`, { method: "HEAD" });
  expect(response.headers["content-length"]).toBe("77");
  expect(await buffer(response)).toHaveLength(0);
});

test("large bodies go through unchanged in both directions", async () => {
  await using world = await startWorld();
  world.upstream.on(MEDIA_PATH, async (request, response) => json(response, 200, { hash: await hashOf(request) }));
  world.upstream.on("/download", (_request, response) => pipeline(largeBody(), response));
  const expected = await hashOf(largeBody());
  const uploaded = await ask(`${world.url}${MEDIA_PATH}`, { method: "POST" }, largeBody());
  expect(JSON.parse((await buffer(uploaded)).toString())).toEqual({ hash: expected });
  expect(await hashOf(await ask(`${world.url}/download`, {}))).toBe(expected);
});

test("the beginning of a body is passed on before its end is there, in both directions", async () => {
  await using world = await startWorld();
  world.upstream.on(MEDIA_PATH, (request, response) => {
    // Answers the first piece before the second is there.
    request.once("data", (chunk) => response.write(`got ${chunk}`));
    request.once("end", () => response.end(" all"));
  });
  const request = httpRequest(`${world.url}${MEDIA_PATH}`, { method: "POST", agent: false });
  const answered = once(request, "response") as Promise<[IncomingMessage]>;
  request.write("one");
  const [response] = await answered;
  const [first] = (await once(response, "data")) as [Buffer];
  expect(first.toString()).toBe("got one");
  request.end("two");
  expect((await buffer(response)).toString()).toBe(" all");
});

test("a client that reads slowly slows the homeserver down and not the memory", async () => {
  await using world = await startWorld();
  let sentBytes = 0;
  world.upstream.on("/download", async (_request, response) => {
    for (let n = 0; n < 256 && !response.destroyed; n++) {
      sentBytes += MIB;
      if (!response.write(Buffer.alloc(MIB))) await Promise.race([once(response, "drain"), once(response, "close")]);
    }
    response.end();
  });
  const response = await ask(`${world.url}/download`, {});
  await once(response, "readable");
  let before = -1;
  // What has been sent stands still once every buffer between is full.
  await until(async () => {
    const isStill = before === sentBytes;
    before = sentBytes;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return isStill && before === sentBytes;
  });
  expect(sentBytes).toBeLessThan(64 * MIB);
  response.destroy();
  await until(async () => (await passed(world, "gone")) === 1);
});

test("an answer that comes before the request is whole is read by the client, which goes on using its connection", async () => {
  await using world = await startWorld();
  world.upstream.on(MEDIA_PATH, (_request, response) => json(response, 413, { errcode: "M_TOO_LARGE" }));
  const socket = connect(Number(new URL(world.url).port), "127.0.0.1");
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk;
  });
  socket.write(`POST ${MEDIA_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: ${16 * MIB}\r\n\r\n`);
  socket.write(Buffer.alloc(MIB));
  await until(() => received.includes("M_TOO_LARGE"));
  socket.write(Buffer.alloc(15 * MIB));
  socket.write("GET /live HTTP/1.1\r\nHost: a\r\n\r\n");
  await until(() => received.includes('"live"'));
  expect(received.match(/^HTTP.*/gm)).toEqual(["HTTP/1.1 413 Payload Too Large", "HTTP/1.1 200 OK"]);
  socket.destroy();
});

test("a homeserver that cannot be reached is a bad gateway that web clients can read", async () => {
  await using world = await startWorld();
  await world.upstream[Symbol.asyncDispose]();
  const response = await fetch(`${world.url}${MEDIA_PATH}`, { method: "POST", body: "x" });
  expect(response.status).toBe(502);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(await response.json()).toEqual({ errcode: "M_UNKNOWN", error: "The homeserver did not answer" });
  expect(await passed(world, "failed")).toBe(1);
});

test("a homeserver that breaks off breaks the client's answer off, so that it does not look whole", async () => {
  await using world = await startWorld();
  world.upstream.on("/download", (_request, response) => {
    response.writeHead(200);
    response.write("half", () => response.destroy());
  });
  const response = await ask(`${world.url}/download`, {});
  await expect(buffer(response)).rejects.toThrow("aborted");
  await until(async () => (await passed(world, "failed")) === 1);
  expect(world.logLines).toContainEqual(expect.objectContaining({ level: "warn", msg: "request failed" }));
});

test("a client that goes ends the call to the homeserver", async () => {
  await using world = await startWorld();
  let isClosed = false;
  world.upstream.on("/_matrix/client/v3/events", (_request, response) => {
    response.once("close", () => {
      isClosed = true;
    });
  });
  const request = httpRequest(`${world.url}/_matrix/client/v3/events`, { agent: false });
  request.on("error", () => undefined).end();
  await until(() => world.upstream.requests.length === 1);
  request.destroy();
  await until(() => isClosed);
  await until(async () => (await passed(world, "gone")) === 1);
  expect(world.logLines.filter(({ level }) => level === "warn")).toEqual([]);
});

test("a client that goes in the middle of its upload ends the call to the homeserver", async () => {
  await using world = await startWorld();
  let isAborted = false;
  world.upstream.on(MEDIA_PATH, (request) => {
    request.on("error", () => {
      isAborted = true;
    });
  });
  const request = httpRequest(`${world.url}${MEDIA_PATH}`, { method: "POST", headers: { "content-length": "1000" } });
  request.on("error", () => undefined).write("x");
  await until(() => world.upstream.requests.length === 1);
  request.destroy();
  await until(() => isAborted);
  await until(async () => (await passed(world, "gone")) === 1);
});

test("a request that names another server is not passed on", async () => {
  await using world = await startWorld();
  const { port } = new URL(world.url);
  const socket = connect(Number(port), "127.0.0.1");
  socket.end(`GET http://127.0.0.1:1/_matrix/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  const answer = (await buffer(socket)).toString();
  expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  expect(answer).toContain("M_UNRECOGNIZED");
  expect(world.upstream.requests).toHaveLength(0);
});

test("with pass-through off, what is not served is unrecognized, and web clients can read that", async () => {
  await using world = await startWorld({ passthrough: false });
  for (const method of ["GET", "POST"]) {
    const response = await fetch(`${world.url}/_matrix/client/v3/sync`, { method });
    expect(response.status).toBe(404);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(await response.json()).toMatchObject({ errcode: "M_UNRECOGNIZED" });
  }
  expect((await fetch(`${world.url}/_matrix/client/v3/sync`, { method: "OPTIONS" })).status).toBe(204);
  expect(world.upstream.requests).toHaveLength(0);
});

test.each([
  "r0",
  "v3",
])("/sync (%s) of a device that is polled is refused and never reaches the homeserver", async (version) => {
  await using world = await startWorld({
    isPolled: ({ userId, deviceId }) => userId === "@alice:test" && deviceId === "PHONE",
  });
  const path = `/_matrix/client/${version}/sync`;
  world.upstream.on(path, (_request, response) => json(response, 200, { next_batch: "s1" }));
  const polled = await fetch(`${world.url}${path}?since=s0`, { headers: { authorization: "Bearer alice-PHONE" } });
  expect(polled.status).toBe(403);
  expect(await polled.json()).toEqual({
    errcode: "M_FORBIDDEN",
    error: expect.stringMatching(/sliding sync.*to-device/),
  });
  expect(world.upstream.requestsTo(path)).toHaveLength(0);
  expect(await passed(world, "refused")).toBe(1);
  const other = await fetch(`${world.url}${path}?access_token=alice-LAPTOP`);
  expect(await other.json()).toEqual({ next_batch: "s1" });
});

test("/sync with a token that nobody knows gets the homeserver's own answer", async () => {
  await using world = await startWorld({ isPolled: () => true });
  const refusal = { errcode: "M_UNKNOWN_TOKEN", error: "no", soft_logout: false };
  world.upstream.on("/_matrix/client/v3/account/whoami", (_request, response) => json(response, 401, refusal));
  world.upstream.on("/_matrix/client/v3/sync", (_request, response) =>
    json(response, 401, { ...refusal, from: "sync" }),
  );
  const response = await fetch(`${world.url}/_matrix/client/v3/sync`, { headers: { authorization: "Bearer x" } });
  expect(response.status).toBe(401);
  expect(await response.json()).toMatchObject({ from: "sync" });
});

const ROOM = "!room:test";
const FORGET = `/_matrix/client/v3/rooms/${encodeURIComponent(ROOM)}/forget`;
const postAs = (world: World, path: string, token = "alice-PHONE") =>
  fetch(`${world.url}${path}`, { method: "POST", body: "{}", headers: { authorization: `Bearer ${token}` } });

test.each([
  "r0",
  "v3",
])("a room that a user forgets (%s) is noted before the client has its answer, as of before the request", async (version) => {
  const noted: unknown[] = [];
  await using world = await startWorld({ forget: async (room) => void noted.push(room) });
  const path = FORGET.replace("v3", version);
  world.upstream.on(path, (_request, response) => json(response, 200, {}));
  const response = await postAs(world, `${path}?x=1`);
  expect([response.status, noted]).toEqual([200, [{ userId: "@alice:test", roomId: ROOM, storedBefore: STORED }]]);
});

test("what is refused, or is no request to forget a room, is not noted as one", async () => {
  const noted: unknown[] = [];
  await using world = await startWorld({ forget: async (room) => void noted.push(room) });
  world.upstream.on(FORGET, (request, response) =>
    json(response, request.method === "POST" ? 400 : 200, { errcode: "M_UNKNOWN" }),
  );
  const others = [`${FORGET}/more`, FORGET.replace("forget", "leave"), FORGET.replace("!", "")];
  for (const path of others) world.upstream.on(path, (_request, response) => json(response, 200, {}));
  expect((await postAs(world, FORGET)).status).toBe(400);
  expect((await fetch(`${world.url}${FORGET}`)).status).toBe(200);
  for (const path of others) expect((await postAs(world, path)).status).toBe(200);
  expect(noted).toEqual([]);
});

test("a client has the homeserver's answer though what it forgot cannot be noted", async () => {
  await using world = await startWorld({ forget: () => Promise.reject(new Error("no database")) });
  world.upstream.on(FORGET, (_request, response) => json(response, 200, { from: "homeserver" }));
  const response = await postAs(world, FORGET);
  expect([response.status, await response.json()]).toEqual([200, { from: "homeserver" }]);
  expect(world.logLines).toContainEqual(expect.objectContaining({ level: "warn", err: expect.anything() }));
});
