// What a client is told whose access token is no longer valid, though the homeserver accepted it a moment ago.
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";
import { type KillableProduct, startKillableProduct } from "../support/kills/killable-product.ts";
import { until } from "../support/program.ts";

/** Far shorter than the homeserver's word on a token counts. */
const LIMIT_MS = 30_000;
const SYNC = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

let homeserver: Homeserver & AsyncDisposable;
let db: TestDatabase;
let product: KillableProduct;
let bob: Robot;
let phone: Robot;
let made = 0;

beforeAll(async () => {
  [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver({ profile: "synapse" })]);
  const options = { homeserverUrl: homeserver.url, databaseUrl: db.url, timelineLimit: 20, idleAfter: "3s" };
  product = await startKillableProduct(options);
});
afterAll(async () => {
  await product[Symbol.asyncDispose]();
  await homeserver[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
beforeEach(async () => {
  made += 1;
  [bob, phone] = [await homeserver.register(`bob${made}`), await homeserver.register(`phone${made}`)];
});

async function ask(token: string, query = "timeout=0") {
  const response = await fetch(`${product.url}${SYNC}?${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ conn_id: "encryption", extensions: { to_device: { enabled: true } } }),
  });
  const json = (await response.json()) as {
    readonly extensions?: { readonly to_device: { readonly events: readonly { readonly content: object }[] } };
  };
  return [response.status, json.extensions === undefined ? json : contentsOf(json.extensions)] as const;
}

const contentsOf = ({ to_device: { events } }: { to_device: { events: readonly { readonly content: object }[] } }) =>
  events.map(({ content }) => content);

const EXPIRED = { errcode: "M_UNKNOWN_TOKEN", soft_logout: true };

test("a client whose token the homeserver no longer accepts is told so as soon as its poller is", async () => {
  expect(await ask(phone.token)).toEqual([200, []]);
  await homeserver.control.untilPollsHeld(1, phone.userId);
  await homeserver.control.revokeToken(phone.token, { softLogout: true });
  // The poll under way ends with it, and the next one is refused.
  await bob.sendToDevice(phone.userId, phone.deviceId, { n: 1 });
  await until(async () => (await ask(phone.token))[0] === 401, "the token is refused", LIMIT_MS);
  expect(await ask(phone.token)).toEqual([401, expect.objectContaining(EXPIRED)]);
  const renewed = await homeserver.control.issueToken(phone.userId, phone.deviceId);
  await until(async () => (await ask(renewed))[0] === 200, "the new token is accepted");
  expect(await ask(renewed)).toEqual([200, [{ n: 1 }]]);
}, 60_000);

test("an old token that comes late does not take the place of the new one", async () => {
  expect((await ask(phone.token))[0]).toBe(200);
  const renewed = await homeserver.control.issueToken(phone.userId, phone.deviceId);
  expect((await ask(renewed))[0]).toBe(200);
  await homeserver.control.revokeToken(phone.token, { softLogout: true });
  expect(await ask(phone.token)).toEqual([401, expect.objectContaining(EXPIRED)]);
  for (const n of [1, 2]) {
    await bob.sendToDevice(phone.userId, phone.deviceId, { n });
    await until(async () => JSON.stringify((await ask(renewed))[1]).includes(`"n":${n}`), `message ${n}`);
  }
});

test("a request that waits is refused with its token, and not answered as if nothing had come", async () => {
  const response = await fetch(`${product.url}${SYNC}`, {
    method: "POST",
    headers: { authorization: `Bearer ${phone.token}`, "content-type": "application/json" },
    body: JSON.stringify({ conn_id: "waiting", extensions: { e2ee: { enabled: true } } }),
  });
  const { pos } = (await response.json()) as { readonly pos: string };
  await homeserver.control.untilPollsHeld(1, phone.userId);
  const waiting = fetch(`${product.url}${SYNC}?pos=${pos}&timeout=30000`, {
    method: "POST",
    headers: { authorization: `Bearer ${phone.token}`, "content-type": "application/json" },
    body: JSON.stringify({ conn_id: "waiting", extensions: { typing: { enabled: true } } }),
  });
  await homeserver.control.revokeToken(phone.token, { softLogout: true });
  await bob.sendToDevice(phone.userId, phone.deviceId, { n: 1 });
  const answer = await waiting;
  expect([answer.status, await answer.json()]).toEqual([401, expect.objectContaining(EXPIRED)]);
}, 25_000);
