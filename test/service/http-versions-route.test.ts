import { expect, test } from "@jest/globals";
import { json } from "./http-upstream.ts";
import { startWorld } from "./http-world.ts";

const VERSIONS_PATH = "/_matrix/client/versions";
const FLAG = "org.matrix.simplified_msc3575";

test("versions gain the flag of sliding sync and lose nothing", async () => {
  await using world = await startWorld({ passthrough: false });
  const upstream = {
    versions: ["v1.1", "v1.11"],
    unstable_features: { "org.matrix.msc4222": false, [FLAG]: false },
    server: { name: "x" },
  };
  world.upstream.on(VERSIONS_PATH, (_request, response) =>
    json(response, 200, upstream, { "cache-control": "public, max-age=600, s-maxage=3600" }),
  );
  const response = await fetch(`${world.url}${VERSIONS_PATH}`);
  expect(await response.json()).toEqual({
    ...upstream,
    unstable_features: { ...upstream.unstable_features, [FLAG]: true },
  });
  expect(Object.fromEntries(response.headers)).toMatchObject({
    vary: "Authorization",
    "cache-control": "private, no-cache",
    "access-control-allow-origin": "*",
  });
});

test("versions without any flags gain the one", async () => {
  await using world = await startWorld();
  world.upstream.on(VERSIONS_PATH, (_request, response) => json(response, 200, { versions: [] }));
  const response = await fetch(`${world.url}${VERSIONS_PATH}`);
  expect(await response.json()).toEqual({ versions: [], unstable_features: { [FLAG]: true } });
});

test("the homeserver sees whose versions are asked for", async () => {
  await using world = await startWorld();
  world.upstream.on(VERSIONS_PATH, (_request, response) => json(response, 200, {}));
  await fetch(`${world.url}${VERSIONS_PATH}`, { headers: { authorization: "Bearer alice-PHONE", "user-agent": "x" } });
  await fetch(`${world.url}${VERSIONS_PATH}?access_token=bob`);
  await fetch(`${world.url}${VERSIONS_PATH}`);
  const headers = world.upstream.requests.map((request) => request.headers);
  expect(headers.map(({ authorization }) => authorization)).toEqual(["Bearer alice-PHONE", "Bearer bob", undefined]);
  expect(headers[0]).toMatchObject({ "user-agent": "x", "x-forwarded-for": "127.0.0.1" });
});

test.each([
  ["an expired token", 401, { errcode: "M_UNKNOWN_TOKEN", error: "no", soft_logout: true }],
  ["too many requests", 429, { errcode: "M_LIMIT_EXCEEDED", error: "no" }],
  ["an outage", 503, { errcode: "M_UNKNOWN", error: "no" }],
])("%s is passed on as the homeserver says it", async (_name, status, body) => {
  await using world = await startWorld();
  world.upstream.on(VERSIONS_PATH, (_request, response) => json(response, status, body, { "retry-after": "7" }));
  const response = await fetch(`${world.url}${VERSIONS_PATH}`);
  expect(response.status).toBe(status);
  expect(await response.json()).toEqual(body);
  expect(response.headers.get("retry-after")).toBe("7");
});

test("an answer that is not versions is passed on as it is", async () => {
  await using world = await startWorld();
  world.upstream.on(VERSIONS_PATH, (_request, response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<p>hello"),
  );
  const response = await fetch(`${world.url}${VERSIONS_PATH}`);
  expect(response.headers.get("content-type")).toBe("text/html");
  expect(await response.text()).toBe("<p>hello");
});

test("a homeserver that cannot be reached is a bad gateway", async () => {
  await using world = await startWorld();
  await world.upstream[Symbol.asyncDispose]();
  const response = await fetch(`${world.url}${VERSIONS_PATH}`);
  expect(response.status).toBe(502);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
});

test("a preflight of versions is answered here", async () => {
  await using world = await startWorld();
  expect((await fetch(`${world.url}${VERSIONS_PATH}`, { method: "OPTIONS" })).status).toBe(204);
  expect(world.upstream.requests).toHaveLength(0);
});
