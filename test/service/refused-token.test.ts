// What a client is told whose access token is no longer valid, though the homeserver accepted it a moment ago.
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { until } from "../support/program.ts";
import { startWholeService } from "../support/whole-service.ts";

/** Far shorter than the homeserver's word on a token counts. */
const LIMIT_MS = 30_000;

let service: Awaited<ReturnType<typeof startWholeService>>;
let homeserver: typeof service.homeserver;
let bob: Robot;
let phone: Robot;
let made = 0;

beforeAll(async () => {
  service = await startWholeService({ idleAfter: "3s" });
  ({ homeserver } = service);
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(async () => {
  made += 1;
  [bob, phone] = [await homeserver.register(`bob${made}`), await homeserver.register(`phone${made}`)];
});

interface Answer {
  readonly extensions?: { readonly to_device: { readonly events: readonly { readonly content: object }[] } };
}

async function ask(token: string) {
  const body = { conn_id: "encryption", extensions: { to_device: { enabled: true } } };
  const [status, answer] = await service.sync<Answer>(token, body);
  return [status, answer.extensions === undefined ? answer : contentsOf(answer.extensions)] as const;
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
  const waits = (extension: string) => ({ conn_id: "waiting", extensions: { [extension]: { enabled: true } } });
  const [, { pos }] = await service.sync<{ readonly pos: string }>(phone.token, waits("e2ee"));
  await homeserver.control.untilPollsHeld(1, phone.userId);
  const waiting = service.sync(phone.token, waits("typing"), { pos, timeoutMs: 30_000 });
  await homeserver.control.revokeToken(phone.token, { softLogout: true });
  await bob.sendToDevice(phone.userId, phone.deviceId, { n: 1 });
  expect(await waiting).toEqual([401, expect.objectContaining(EXPIRED)]);
}, 25_000);
