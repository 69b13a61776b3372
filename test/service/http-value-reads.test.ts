import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createHomeserver, type Homeserver } from "../../src/homeserver/client.ts";
import type { ValueAnswer } from "../../src/homeserver/value-reads.ts";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import { UpstreamError } from "../../src/model/upstream-error.ts";
import { json, startUpstream, type TestUpstream } from "./http-upstream.ts";

const ROOM = "!r/1:test" as RoomId;
const USER = "@a/b:test" as UserId;
const V3 = "/_matrix/client/v3";
const STATE = `${V3}/rooms/!r%2F1%3Atest/state`;
const EVENT = { type: "org.x", state_key: "k", event_id: "$e", content: { a: 1 } };

let upstream: TestUpstream;
let homeserver: Homeserver;

beforeEach(async () => {
  upstream = await startUpstream();
  homeserver = createHomeserver({ url: upstream.url, limits: { shortCallMs: 20_000 } });
});
afterEach(async () => {
  await homeserver[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const call = () => ({
  token: "t",
  forwarded: { xForwardedFor: "192.0.2.1", userAgent: "client" },
  signal: new AbortController().signal,
});
const askState = (type = "org.x", stateKey = "k") => homeserver.values.stateEvent(call(), ROOM, type, stateKey);
const textOf = (answer: ValueAnswer) => (answer.kind === "found" ? answer.raw.toString() : answer.kind);
const requested = () => upstream.requests.map(({ url }) => url?.replace(V3, ""));

/** A homeserver that gives the event when asked for it, and else its content. */
function giveEvents(path: string, event: { readonly content: object }): void {
  upstream.on(path, (request, response) =>
    json(response, 200, request.url?.endsWith("?format=event") ? event : event.content),
  );
}

describe("the event of a state key", () => {
  test("is asked for as an event, and once also as content, which tells that the homeserver knows the format", async () => {
    giveEvents(`${STATE}/org.x/k`, EVENT);
    expect([textOf(await askState()), textOf(await askState())]).toEqual([
      JSON.stringify(EVENT),
      JSON.stringify(EVENT),
    ]);
    const path = "/rooms/!r%2F1%3Atest/state/org.x/k";
    expect(requested()).toEqual([`${path}?format=event`, path, `${path}?format=event`]);
    expect(upstream.requests[0]?.headers).toMatchObject({
      authorization: "Bearer t",
      "x-forwarded-for": "192.0.2.1",
      "user-agent": "client",
    });
  });

  test("is never content that looks like one: of a homeserver that gives content it is looked for in the whole state", async () => {
    const forged = { ...EVENT, event_id: "$forged", sender: "@victim:test", content: { a: 2 } };
    upstream.on(`${STATE}/org.x/k`, (_, response) => json(response, 200, forged));
    const real = { ...EVENT, content: forged };
    upstream.on(STATE, (_, response) => json(response, 200, [{ ...EVENT, state_key: "j" }, 1, real]));
    expect(textOf(await askState())).toBe(JSON.stringify(real));
    expect(textOf(await askState())).toBe(JSON.stringify(real));
    // It is known then.
    expect(upstream.requestsTo(`${STATE}/org.x/k`)).toHaveLength(2);
  });

  test("that changed while the homeserver was got to know is looked for in the whole state", async () => {
    let asked = 0;
    upstream.on(`${STATE}/org.x/k`, (request, response) => {
      asked += 1;
      json(response, 200, request.url?.endsWith("?format=event") ? EVENT : { a: asked });
    });
    upstream.on(STATE, (_, response) => json(response, 200, [{ ...EVENT, content: { a: 2 } }]));
    expect(textOf(await askState())).toContain('"a":2');
  });

  test.each([
    ["..", "k"],
    ["org.x", ".."],
    [".", ""],
  ])("of type %p and key %p does not become another path", async (type, stateKey) => {
    upstream.on(STATE, (_, response) => json(response, 200, [{ ...EVENT, type, state_key: stateKey }]));
    expect(textOf(await askState(type, stateKey))).toContain("$e");
    expect(requested()).toEqual(["/rooms/!r%2F1%3Atest/state"]);
  });

  test.each<[number, object, ValueAnswer]>([
    [404, { errcode: "M_NOT_FOUND" }, { kind: "absent" }],
    [404, { errcode: "M_UNRECOGNIZED" }, { kind: "refused", status: 404, errcode: "M_UNRECOGNIZED" }],
    [403, { errcode: "M_FORBIDDEN" }, { kind: "refused", status: 403, errcode: "M_FORBIDDEN" }],
    [400, {}, { kind: "refused", status: 400, errcode: undefined }],
  ])("with status %p and %p is an answer", async (status, body, expected) => {
    upstream.on(`${STATE}/org.x/k`, (_, response) => json(response, status, body));
    expect(await askState()).toEqual(expected);
  });

  test.each<[string, number, unknown, object]>([
    ["a token that is refused", 401, { errcode: "M_UNKNOWN_TOKEN" }, { kind: "status", status: 401 }],
    ["a limit", 429, { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 50 }, { kind: "status", retryAfterMs: 50 }],
    ["an error", 500, {}, { kind: "status", status: 500 }],
    ["a list", 200, [EVENT], { kind: "malformed" }],
    ["a text", 200, "event", { kind: "malformed" }],
    ["too much", 200, { a: "x".repeat(9 * 1024 * 1024) }, { kind: "malformed" }],
  ])("is a fault with %s", async (_what, status, body, fault) => {
    upstream.on(`${STATE}/org.x/k`, (_, response) => json(response, status, body));
    const error = await askState().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UpstreamError);
    expect((error as UpstreamError).fault).toMatchObject(fault);
  });

  test("is not waited for longer than a short call may take", async () => {
    upstream.on(`${STATE}/org.x/k`, () => {});
    await using impatient = createHomeserver({ url: upstream.url, limits: { shortCallMs: 200 } });
    const asking = impatient.values.stateEvent(call(), ROOM, "org.x", "k");
    const error = await asking.catch((thrown: unknown) => thrown);
    expect((error as UpstreamError).fault).toEqual({ kind: "timeout" });
  });
});

describe("account data", () => {
  const BASE = "/user/%40a%2Fb%3Atest";
  test.each([
    [undefined, "m.direct", `${BASE}/account_data/m.direct`],
    [undefined, "m.push_rules", "/pushrules/"],
    [undefined, "m.tag", `${BASE}/account_data/m.tag`],
    [ROOM, "m.tag", `${BASE}/rooms/!r%2F1%3Atest/tags`],
    [ROOM, "org/x", `${BASE}/rooms/!r%2F1%3Atest/account_data/org%2Fx`],
  ])("of room %p and type %p is at %p", async (roomId, type, path) => {
    upstream.on(`${V3}${path}`, (_, response) => json(response, 200, { a: 1 }));
    expect(textOf(await homeserver.values.accountData(call(), USER, roomId, type))).toBe('{"a":1}');
  });

  test("of a type that would be another path is not asked for", async () => {
    expect(await homeserver.values.accountData(call(), USER, undefined, "..")).toMatchObject({ kind: "refused" });
    expect(requested()).toEqual([]);
  });
});
