import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Robot, SyncBody } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";

// What these tests expect was seen of Synapse 1.157.1.

let homeserver: Homeserver & AsyncDisposable;
let made = 0;

beforeAll(async () => {
  homeserver = await startHomeserver();
});
afterAll(async () => {
  await homeserver[Symbol.asyncDispose]();
});

async function pair(): Promise<{ alice: Robot; bob: Robot }> {
  made += 1;
  return { alice: await homeserver.register(`alice${made}`, "PHONE"), bob: await homeserver.register(`bob${made}`) };
}

const received = (body: SyncBody) => body.to_device?.events.map(({ content }) => content.n) ?? [];

describe("devices of the scripted homeserver", () => {
  test("to-device messages are deleted by the since that has them, before the answer is computed", async () => {
    const { alice, bob } = await pair();
    const before = await alice.sync();
    for (const n of [1, 2]) await bob.sendToDevice(alice.userId, "PHONE", { n });
    const first = await alice.sync({ since: before.next_batch });
    expect(received(first)).toEqual([1, 2]);
    await bob.sendToDevice(alice.userId, "PHONE", { n: 3 });
    // Neither a repeated request nor one without a token acknowledges anything.
    expect(received(await alice.sync({ since: before.next_batch, timeout: 1 }))).toEqual([1, 2, 3]);
    expect(received(await alice.sync({ timeout: 2 }))).toEqual([1, 2, 3]);
    // This one does, with its first byte not yet computed, so that an older token finds no more than the rest.
    expect(received(await alice.sync({ since: first.next_batch, full_state: true }))).toEqual([3]);
    expect(received(await alice.sync({ since: before.next_batch, timeout: 3 }))).toEqual([3]);
    expect(received(await alice.sync({ timeout: 4 }))).toEqual([3]);
  });

  test("an answer has at most 100 messages, and the next one goes on from there at once", async () => {
    const { alice, bob } = await pair();
    const before = await alice.sync();
    const sent = Array.from({ length: 103 }, (_, n) => n);
    for (const n of sent) await bob.sendToDevice(alice.userId, "*", { n });
    const first = await alice.sync({ since: before.next_batch });
    expect(received(first)).toEqual(sent.slice(0, 100));
    const second = await alice.sync({ since: first.next_batch, timeout: 30_000 });
    expect(received(second)).toEqual([100, 101, 102]);
    expect(received(await alice.sync({ since: second.next_batch }))).toEqual([]);
  });

  test("a star reaches every device of the user", async () => {
    const { alice, bob } = await pair();
    const tablet = await homeserver.login(`alice${made}`, "TABLET");
    await bob.sendToDevice(alice.userId, "*", { n: 1 });
    await bob.sendToDevice(alice.userId, "TABLET", { n: 2 });
    expect(received(await alice.sync())).toEqual([1]);
    expect(received(await tablet.sync())).toEqual([1, 2]);
  });

  test("key counts and fallback types come with every answer, and a claim takes from them", async () => {
    const { alice, bob } = await pair();
    const empty = await alice.sync();
    expect(empty.device_one_time_keys_count).toEqual({ signed_curve25519: 0 });
    expect(empty.device_unused_fallback_key_types).toEqual([]);
    await alice.uploadKeys({ oneTimeKeys: 1, hasFallback: true });
    const full = await alice.sync({ since: empty.next_batch });
    expect(full.device_one_time_keys_count).toEqual({ signed_curve25519: 1 });
    expect(full.device_unused_fallback_key_types).toEqual(["signed_curve25519"]);
    await bob.claimKey(alice.userId, "PHONE");
    await bob.claimKey(alice.userId, "PHONE");
    const used = await alice.sync({ since: full.next_batch });
    expect(used.device_one_time_keys_count).toEqual({ signed_curve25519: 0 });
    expect(used.device_unused_fallback_key_types).toEqual([]);
  });

  test("device lists tell who to ask for again and whom to forget, in any shared room, never on a first sync", async () => {
    const { alice, bob } = await pair();
    const roomId = await alice.createRoom({ preset: "public_chat" });
    const first = await alice.sync();
    expect(first.device_lists).toBeUndefined();
    await bob.join(roomId);
    const second = await alice.sync({ since: first.next_batch });
    expect(second.device_lists).toEqual({ changed: [bob.userId] });
    await bob.uploadKeys();
    const third = await alice.sync({ since: second.next_batch });
    expect(third.device_lists).toEqual({ changed: [bob.userId] });
    await bob.leave(roomId);
    const fourth = await alice.sync({ since: third.next_batch });
    expect(fourth.device_lists).toEqual({ left: [bob.userId] });
  });

  test("a token is refused as missing, unknown, expired or logged out", async () => {
    const { alice } = await pair();
    const refusal = (more: object) => ({ status: 401, body: expect.objectContaining(more) });
    const missing = await fetch(`${homeserver.url}/_matrix/client/v3/account/whoami`);
    expect(missing.status).toBe(401);
    expect(await missing.json()).toMatchObject({ errcode: "M_MISSING_TOKEN" });
    const second = await homeserver.control.issueToken(alice.userId, "PHONE");
    await homeserver.control.revokeToken(alice.token, { softLogout: true });
    await expect(alice.sync()).rejects.toMatchObject(refusal({ errcode: "M_UNKNOWN_TOKEN", soft_logout: true }));
    const renewed = await homeserver.login(`alice${made}`, "PHONE");
    expect(await renewed.call("GET", "/account/whoami")).toEqual({
      user_id: alice.userId,
      device_id: "PHONE",
      is_guest: false,
    });
    await homeserver.control.revokeToken(second, { deleteDevice: true });
    await expect(renewed.sync()).rejects.toMatchObject(refusal({ errcode: "M_UNKNOWN_TOKEN", soft_logout: false }));
  });
});
