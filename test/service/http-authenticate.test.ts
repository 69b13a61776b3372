import { expect, test } from "@jest/globals";
import { json } from "./http-upstream.ts";
import { startWorld, WHOAMI_PATH } from "./http-world.ts";

test("a token that was known is looked up again after a minute", async () => {
  await using world = await startWorld();
  await world.sync();
  world.clock.advance(60_000);
  await world.sync();
  expect(world.upstream.requestsTo(WHOAMI_PATH)).toHaveLength(1);
  world.clock.advance(1);
  await world.sync();
  expect(world.upstream.requestsTo(WHOAMI_PATH)).toHaveLength(2);
});

test("a token that was refused is looked up again after five seconds", async () => {
  await using world = await startWorld();
  const body = { errcode: "M_UNKNOWN_TOKEN", error: "gone", soft_logout: true };
  world.upstream.on(WHOAMI_PATH, (_request, response) => json(response, 401, body));
  for (let n = 0; n < 3; n++) expect(await (await world.sync()).json()).toEqual(body);
  expect(world.upstream.requestsTo(WHOAMI_PATH)).toHaveLength(1);
  world.clock.advance(5_001);
  world.upstream.on(WHOAMI_PATH, (_request, response) =>
    json(response, 200, { user_id: "@alice:test", device_id: "PHONE" }),
  );
  expect((await world.sync()).status).toBe(200);
});

test("a look-up that fails is not remembered", async () => {
  await using world = await startWorld();
  world.upstream.on(WHOAMI_PATH, (_request, response) => response.destroy());
  expect((await world.sync()).status).toBe(502);
  world.upstream.on(WHOAMI_PATH, (_request, response) =>
    json(response, 200, { user_id: "@alice:test", device_id: "PHONE" }),
  );
  expect((await world.sync()).status).toBe(200);
  expect(await world.metric("slidecar_whoami_total", { outcome: "failed" })).toBe(1);
});

test("two tokens of one device are one device", async () => {
  await using world = await startWorld();
  world.upstream.on(WHOAMI_PATH, (_request, response) =>
    json(response, 200, { user_id: "@alice:test", device_id: "PHONE" }),
  );
  await world.sync({ headers: { authorization: "Bearer before" } });
  await world.sync({ headers: { authorization: "Bearer after" } });
  const [before, after] = world.calls.map(({ device }) => device);
  expect(before).toMatchObject({ userId: "@alice:test", deviceId: "PHONE", token: "before" });
  expect(after).toMatchObject({ userId: "@alice:test", deviceId: "PHONE", token: "after" });
});
