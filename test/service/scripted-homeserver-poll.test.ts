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

async function pair(): Promise<{ alice: Robot; bob: Robot; roomId: string; before: SyncBody }> {
  made += 1;
  const alice = await homeserver.register(`alice${made}`);
  const bob = await homeserver.register(`bob${made}`);
  const roomId = await alice.createRoom({ preset: "public_chat" });
  await bob.join(roomId);
  return { alice, bob, roomId, before: await alice.sync() };
}

describe("long polls of the scripted homeserver", () => {
  test.each<[string, (robots: { alice: Robot; bob: Robot; roomId: string }) => Promise<unknown>, string]>([
    ["a message", ({ bob, roomId }) => bob.send(roomId, "hello"), "rooms"],
    ["typing", ({ bob, roomId }) => bob.typing(roomId), "rooms"],
    ["account data", ({ alice }) => alice.accountData("x.y", { z: 1 }), "account_data"],
    ["a tag", ({ alice, roomId }) => alice.tag(roomId, "m.favourite"), "rooms"],
    ["a to-device message", ({ alice, bob }) => bob.sendToDevice(alice.userId, "*", {}), "to_device"],
    ["changed devices of somebody in a room", ({ bob }) => bob.uploadKeys(), "device_lists"],
    ["an invite", ({ alice, bob }) => bob.createRoom({ invite: [alice.userId] }), "rooms"],
  ])("%s ends a poll", async (_what, act, section) => {
    const { alice, bob, roomId, before } = await pair();
    const poll = alice.sync({ since: before.next_batch, timeout: 30_000 });
    await homeserver.control.untilPollsHeld(1, alice.userId);
    await act({ alice, bob, roomId });
    expect(Object.keys(await poll)).toContain(section);
    expect(await homeserver.control.heldPolls(alice.userId)).toBe(0);
  });

  test("nothing for this user ends a poll with its timeout, and the token moves on", async () => {
    const { alice, bob, before } = await pair();
    const poll = alice.sync({ since: before.next_batch, timeout: 300 });
    await homeserver.control.untilPollsHeld(1, alice.userId);
    await bob.accountData("not.for.alice", {});
    await bob.claimKey(alice.userId, alice.deviceId);
    const body = await poll;
    expect(Object.keys(body).sort()).toEqual([
      "device_one_time_keys_count",
      "device_unused_fallback_key_types",
      "next_batch",
    ]);
    expect(body.next_batch).not.toBe(before.next_batch);
  });

  test("the answer of the same question is given again for two minutes, an empty one never", async () => {
    const { alice, bob, roomId, before } = await pair();
    const empty = await alice.sync({ since: before.next_batch });
    expect(empty.rooms).toBeUndefined();
    await bob.send(roomId, "first");
    const seen = await alice.sync({ since: before.next_batch });
    await bob.send(roomId, "second");
    expect((await alice.sync({ since: before.next_batch })).next_batch).toBe(seen.next_batch);
    expect((await alice.sync({ since: before.next_batch, timeout: 1 })).next_batch).not.toBe(seen.next_batch);
    await homeserver.control.advanceClock(120_001);
    expect((await alice.sync({ since: before.next_batch })).next_batch).not.toBe(seen.next_batch);
  });

  test("without the response cache every first sync is of now", async () => {
    const { alice, bob, roomId, before } = await pair();
    await bob.send(roomId, "news");
    expect((await alice.sync()).next_batch).toBe(before.next_batch);
    await homeserver.control.settings({ responseCache: false });
    expect((await alice.sync({ filter: {} })).next_batch).not.toBe(before.next_batch);
    await homeserver.control.forgetCachedSyncs();
    expect((await alice.sync()).next_batch).not.toBe(before.next_batch);
    await homeserver.control.settings({ responseCache: true });
  });

  test("a first sync computes before its first byte, and a retry joins it", async () => {
    const { alice } = await pair();
    await homeserver.control.forgetCachedSyncs();
    await homeserver.control.settings({ initialDelayMs: 400 });
    const startMs = performance.now();
    const given = new AbortController();
    const first = alice.sync({}, given.signal);
    await homeserver.control.untilPollsHeld(1, alice.userId);
    given.abort();
    await expect(first).rejects.toMatchObject({ name: "AbortError" });
    await homeserver.control.settings({ initialDelayMs: 60_000 });
    // Would take a minute, were it computed anew.
    await alice.sync();
    await homeserver.control.settings({ initialDelayMs: 0 });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(390);
  });

  test("a token from the future is taken for now, a broken one is refused", async () => {
    const { alice, before } = await pair();
    const future = before.next_batch.replace(/^s\d+/, "s999999");
    expect((await alice.sync({ since: future })).rooms).toBeUndefined();
    await expect(alice.sync({ since: "nonsense" })).rejects.toMatchObject({ status: 400, errcode: "M_UNKNOWN" });
  });

  test("a filter on rooms takes all room account data with it", async () => {
    const { alice, roomId, before } = await pair();
    await alice.roomAccountData(roomId, "x.y", { z: 1 });
    const query = { since: before.next_batch };
    expect((await alice.sync(query)).rooms!.join![roomId]!.account_data.events).toEqual([
      { type: "x.y", content: { z: 1 } },
    ]);
    expect((await alice.sync({ ...query, filter: { room: { rooms: [roomId] } } })).rooms).toBeUndefined();
  });
});
