import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Robot, SyncBody, SyncedRoom } from "../support/homeserver/robot.ts";
import { type Homeserver, PROFILE_NAMES, type ProfileName, startHomeserver } from "../support/homeserver/start.ts";

const LAZY = { room: { state: { lazy_load_members: true, include_redundant_members: true } } };

const homeservers = new Map<ProfileName, Homeserver & AsyncDisposable>();
let made = 0;

beforeAll(async () => {
  for (const profile of PROFILE_NAMES) homeservers.set(profile, await startHomeserver({ profile }));
});
afterAll(async () => {
  for (const homeserver of homeservers.values()) await homeserver[Symbol.asyncDispose]();
});

const of = (profile: ProfileName) => homeservers.get(profile)!;
async function people(profile: ProfileName): Promise<{ alice: Robot; bob: Robot }> {
  made += 1;
  return { alice: await of(profile).register(`alice${made}`), bob: await of(profile).register(`bob${made}`) };
}
const joined = (body: SyncBody, roomId: string): SyncedRoom | undefined => body.rooms?.join?.[roomId];
const ids = (events: readonly { readonly event_id: string }[] | undefined) => events?.map((event) => event.event_id);
/** Asked by both names, as Slidecar does. */
const stateAfter = { use_state_after: "true", "org.matrix.msc4222.use_state_after": "true" };
const ask = async (robot: Robot, query: Record<string, string>) =>
  (await robot.call("GET", `/sync?${new URLSearchParams(query)}`)) as unknown as SyncBody;

describe.each<[ProfileName, RegExp, RegExp]>([
  ["synapse", /^s\d+(_\d+){12}$/, /^[st][\d-]+(_\d+){12}$/],
  ["dendrite", /^s\d+(_\d+){8}$/, /^t\d+_\d+$/],
  ["tuwunel", /^\d+$/, /^\d+$/],
])("the tokens of %s", (profile, batch, page) => {
  test("have their form, and go on in sync and in messages", async () => {
    const { alice, bob } = await people(profile);
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    const sent: string[] = [];
    for (let n = 0; n < 40; n++) sent.push(await alice.send(roomId, `message ${n}`));
    const first = await bob.sync({ filter: { room: { timeline: { limit: 5 } } } });
    const { timeline } = joined(first, roomId)!;
    expect([first.next_batch, timeline.prev_batch]).toEqual([
      expect.stringMatching(batch),
      expect.stringMatching(page),
    ]);
    expect([ids(timeline.events), timeline.limited]).toEqual([sent.slice(-5), true]);
    const back = await bob.messages(roomId, { from: timeline.prev_batch, limit: "5" });
    expect(ids(back.chunk)).toEqual(sent.slice(-10, -5).reverse());
    const further = await bob.messages(roomId, { from: back.end!, limit: "5" });
    expect(ids(further.chunk)).toEqual(sent.slice(-15, -10).reverse());
    const next = await alice.send(roomId, "next");
    expect(ids(joined(await bob.sync({ since: first.next_batch }), roomId)?.timeline.events)).toEqual([next]);
  });
});

describe.each<[ProfileName, string[]]>([
  ["synapse", ["timeline"]],
  ["dendrite", ["timeline"]],
  ["tuwunel", ["state"]],
])("an invite from another server that was rejected before %s", (profile, places) => {
  test("is told by the event or by one that nobody knows", async () => {
    const { bob } = await people(profile);
    const roomId = await of(profile).control.remoteInvite({ userId: bob.userId });
    const { next_batch: since } = await bob.sync();
    await bob.leave(roomId);
    const body = await bob.sync({ since });
    const left = body.rooms?.leave?.[roomId];
    const told = { timeline: left?.timeline.events ?? [], state: left?.state.events ?? [] };
    expect(Object.entries(told).flatMap(([place, events]) => (events.length > 0 ? [place] : []))).toEqual(places);
    const [event] = [...told.timeline, ...told.state];
    expect(event).toMatchObject({ sender: bob.userId, state_key: bob.userId, content: { membership: "leave" } });
  });
});

describe("Dendrite", () => {
  test("invents an event for the end of an ordinary invite, too", async () => {
    const { alice, bob } = await people("dendrite");
    const roomId = await alice.createRoom();
    await alice.invite(roomId, bob.userId);
    const { next_batch: since } = await bob.sync();
    await alice.kick(roomId, bob.userId);
    const left = (await bob.sync({ since })).rooms?.leave?.[roomId];
    const [kick] = (await alice.state(roomId)).filter((event) => event.state_key === bob.userId);
    expect(left?.timeline.events).toMatchObject([{ sender: bob.userId, content: { membership: "leave" } }]);
    expect(left?.timeline.events[0]?.event_id).not.toBe(kick?.event_id);
  });

  test("tells state of now, without what stands in the timeline", async () => {
    const { alice, bob } = await people("dendrite");
    const roomId = await alice.createRoom({ preset: "public_chat", name: "Old" });
    for (let n = 0; n < 25; n++) await alice.send(roomId, `message ${n}`);
    const name = await alice.setState(roomId, "m.room.name", { name: "New" });
    await bob.join(roomId);
    const { state, timeline } = joined(await bob.sync(), roomId)!;
    expect(state.events.map(({ type }) => type)).not.toContain("m.room.name");
    expect(ids(timeline.events)).toContain(name);
    expect(timeline.events).toHaveLength(20);
  });

  test("does not call a timeline limited that visibility shortened", async () => {
    const { alice, bob } = await people("dendrite");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await alice.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
    for (let n = 0; n < 25; n++) await alice.send(roomId, `message ${n}`);
    await bob.join(roomId);
    const { timeline } = joined(await bob.sync(), roomId)!;
    expect(timeline.limited).toBe(false);
    expect(timeline.events.length).toBeLessThan(20);
  });

  test("has account data of a room that the user left in a section of a joined one", async () => {
    const { alice, bob } = await people("dendrite");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    await bob.leave(roomId);
    const { next_batch: since } = await bob.sync();
    await bob.tag(roomId, "m.favourite");
    const section = joined(await bob.sync({ since }), roomId);
    expect(section).toMatchObject({ account_data: { events: [{ type: "m.tag" }] }, timeline: { events: [] } });
  });

  test("keeps a member back that it sent before, whatever the filter says", async () => {
    const { alice, bob } = await people("dendrite");
    const roomId = await alice.createRoom({ preset: "public_chat", name: "Without heroes" });
    await bob.join(roomId);
    for (let n = 0; n < 25; n++) await alice.send(roomId, `message ${n}`);
    const { next_batch: since } = await alice.sync({ filter: LAZY });
    await bob.send(roomId, "hello");
    const members = async () =>
      joined(await alice.sync({ since, filter: LAZY }), roomId)?.state.events.map(({ state_key: key }) => key);
    expect(await members()).toContain(bob.userId);
    expect(await members()).not.toContain(bob.userId);
  });

  test("has no rooms that the user left, no knocks, and no state_after", async () => {
    const { alice, bob } = await people("dendrite");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    await alice.kick(roomId, bob.userId);
    const knocking = await alice.createRoom({
      initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
    });
    await bob.knock(knocking);
    const body = await bob.sync({ filter: { room: { include_leave: true } } });
    expect([body.rooms?.leave, body.rooms?.knock]).toEqual([undefined, undefined]);
    expect(joined(await ask(alice, stateAfter), roomId)).toMatchObject({ state: { events: expect.anything() } });
  });
});

describe("tuwunel", () => {
  test("tells state after the timeline to who asks, by the unstable name first, and before it where that fails", async () => {
    const { alice } = await people("tuwunel");
    const roomId = await alice.createRoom();
    const keys = async (query: Record<string, string>) =>
      Object.keys(joined(await ask(alice, query), roomId) ?? {}).filter((key) => key.includes("state"));
    expect(await keys(stateAfter)).toEqual(["org.matrix.msc4222.state_after"]);
    expect(await keys({ use_state_after: "true" })).toEqual(["state_after"]);
    expect(await keys({})).toEqual(["state"]);
    await of("tuwunel").control.settings({ stateAfterFails: true });
    expect(await keys(stateAfter)).toEqual(["state"]);
    await of("tuwunel").control.settings({ stateAfterFails: false });
  });

  test("takes a token that is no number for none", async () => {
    const { alice } = await people("tuwunel");
    const roomId = await alice.createRoom();
    const { next_batch: since } = await alice.sync();
    await alice.send(roomId, "news");
    const types = async (token: string) =>
      joined(await alice.sync({ since: token }), roomId)?.timeline.events.map(({ type }) => type);
    expect(await types(since)).toEqual(["m.room.message"]);
    expect(await types("s1_2_3")).toEqual(expect.arrayContaining(["m.room.create", "m.room.message"]));
  });

  test("shows what was said before somebody came, whatever the room's visibility", async () => {
    const { alice, bob } = await people("tuwunel");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await alice.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
    const { next_batch: since } = await bob.sync();
    const secret = await alice.send(roomId, "secret");
    await bob.join(roomId);
    expect(ids(joined(await bob.sync({ since }), roomId)?.timeline.events)).toContain(secret);
  });

  test("tells counts with news of the timeline only, and all members of an encrypted room", async () => {
    const { alice, bob } = await people("tuwunel");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    await alice.setState(roomId, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" });
    for (let n = 0; n < 12; n++) await alice.send(roomId, `message ${n}`);
    const first = await bob.sync({ filter: LAZY });
    const [{ state }] = [joined(first, roomId)!];
    expect(state.events.filter(({ type }) => type === "m.room.member").map((event) => event.state_key)).toEqual(
      expect.arrayContaining([alice.userId, bob.userId]),
    );
    await bob.tag(roomId, "m.favourite");
    expect(joined(await bob.sync({ since: first.next_batch }), roomId)?.unread_notifications).toBeUndefined();
  });
});

describe.each<[ProfileName, number]>([
  ["synapse", 100],
  ["dendrite", 130],
  ["tuwunel", 130],
])("%s", (profile, expected) => {
  test(`gives a device ${expected} of 130 messages at once, and the same again until they are acknowledged`, async () => {
    const { alice, bob } = await people(profile);
    for (let n = 0; n < 130; n++) await bob.sendToDevice(alice.userId, alice.deviceId, { n });
    await of(profile).control.settings({ responseCache: false });
    const first = await alice.sync();
    expect((await alice.sync()).to_device?.events).toHaveLength(expected);
    expect(first.to_device?.events).toHaveLength(expected);
    const second = await alice.sync({ since: first.next_batch, timeout: 1 });
    expect(second.to_device?.events ?? []).toHaveLength(130 - expected);
    expect((await alice.sync()).to_device?.events ?? []).toHaveLength(130 - expected);
  });
});

test.each<[ProfileName, boolean]>([
  ["synapse", true],
  ["dendrite", false],
  ["tuwunel", false],
])("%s gives the same answer to the same question for a while: %s", async (profile, isCached) => {
  const { alice } = await people(profile);
  await of(profile).control.settings({ responseCache: true });
  await alice.sync();
  const roomId = await alice.createRoom();
  expect(joined(await alice.sync(), roomId) === undefined).toBe(isCached);
});
