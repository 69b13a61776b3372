import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";

// What these tests expect was seen of Synapse 1.157.1, but for rooms of other servers, which follow its source.

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
  return { alice: await homeserver.register(`alice${made}`), bob: await homeserver.register(`bob${made}`) };
}

const membershipsOf = (events: readonly { type: string; content: Record<string, unknown> }[]) =>
  events.filter(({ type }) => type === "m.room.member").map(({ content }) => content.membership);

describe("the sections of rooms of the scripted homeserver", () => {
  test("an invite carries stripped state and the invite itself in full", async () => {
    const { alice, bob } = await pair();
    const roomId = await alice.createRoom({
      preset: "private_chat",
      name: "Party",
      invite: [bob.userId],
      is_direct: true,
    });
    const { events } = (await bob.sync()).rooms!.invite![roomId]!.invite_state;
    expect(events.map(({ type }) => type)).toEqual([
      "m.room.create",
      "m.room.join_rules",
      "m.room.name",
      "m.room.member",
      "m.room.member",
    ]);
    expect(events.filter(({ event_id }) => event_id !== undefined)).toEqual([events.at(-1)]);
    expect(events.at(-1)!.content).toMatchObject({ membership: "invite", is_direct: true });
  });

  test("a rejected invite is in leave with nothing but the leave, and then gone", async () => {
    const { alice, bob } = await pair();
    const roomId = await alice.createRoom({ preset: "private_chat", invite: [bob.userId] });
    const before = await bob.sync();
    await bob.leave(roomId);
    const room = (await bob.sync({ since: before.next_batch })).rooms!.leave![roomId]!;
    expect(membershipsOf(room.timeline.events)).toEqual(["leave"]);
    expect(room.state.events).toEqual([]);
    expect((await bob.sync({ timeout: 1 })).rooms).toBeUndefined();
  });

  test("own leaves are told once, kicks and bans in every first sync until forgotten", async () => {
    const { alice, bob } = await pair();
    const [left, kicked, banned] = await Promise.all(
      ["left", "kicked", "banned"].map((name) => alice.createRoom({ preset: "public_chat", name })),
    );
    for (const roomId of [left!, kicked!, banned!]) await bob.join(roomId);
    const before = await bob.sync();
    await bob.leave(left!);
    await alice.kick(kicked!, bob.userId);
    await alice.ban(banned!, bob.userId);
    await alice.send(kicked!, "unseen");
    const news = (await bob.sync({ since: before.next_batch })).rooms!.leave!;
    expect(Object.keys(news).sort()).toEqual([left!, kicked!, banned!].sort());
    expect(news[kicked!]!.timeline.events.at(-1)!.content).toMatchObject({ membership: "leave" });

    const known = async (filter = {}) =>
      Object.keys((await bob.sync({ filter, timeout: 1 })).rooms?.leave ?? {}).sort();
    expect(await known()).toEqual([kicked!, banned!].sort());
    expect(await known({ room: { include_leave: true } })).toEqual([left!, kicked!, banned!].sort());
    await bob.forget(kicked!);
    expect(await known({ room: { timeline: { limit: 3 } } })).toEqual([banned!]);
  });

  test("who leaves and joins again is newly joined, with full state", async () => {
    const { alice, bob } = await pair();
    const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
    await bob.join(roomId);
    const before = await bob.sync();
    await bob.leave(roomId);
    await bob.join(roomId);
    const { join, leave } = (await bob.sync({ since: before.next_batch, filter: { room: { timeline: { limit: 2 } } } }))
      .rooms!;
    expect(leave).toBeUndefined();
    expect(join![roomId]!.timeline.limited).toBe(true);
    expect(join![roomId]!.state.events.map(({ type }) => type)).toContain("m.room.create");
  });

  test("a knock has a section of its own until it is answered", async () => {
    const { alice, bob } = await pair();
    const rules = { type: "m.room.join_rules", content: { join_rule: "knock" } };
    const roomId = await alice.createRoom({ preset: "private_chat", name: "Club", initial_state: [rules] });
    await bob.knock(roomId);
    const first = await bob.sync();
    const { events } = first.rooms!.knock![roomId]!.knock_state;
    expect(events.map(({ type }) => type)).toEqual([
      "m.room.create",
      "m.room.join_rules",
      "m.room.name",
      "m.room.member",
    ]);
    await alice.invite(roomId, bob.userId);
    const second = await bob.sync({ since: first.next_batch });
    expect(Object.keys(second.rooms!)).toEqual(["invite"]);
  });

  test("a remote invite that is rejected or retracted leaves just the leave, without state", async () => {
    const { bob } = await pair();
    const sender = "@carol:remote.example";
    const name = { type: "m.room.name", state_key: "", sender, content: { name: "Far away" } };
    const invited = { userId: bob.userId, sender, strippedState: [name] };
    const [rejected, retracted] = [
      await homeserver.control.remoteInvite(invited),
      await homeserver.control.remoteInvite(invited),
    ];
    const before = await bob.sync();
    expect(Object.keys(before.rooms!.invite!)).toEqual([rejected, retracted]);
    await bob.leave(rejected);
    await homeserver.control.retractRemoteInvite({ roomId: retracted, userId: bob.userId, sender });
    const { leave } = (await bob.sync({ since: before.next_batch })).rooms!;
    for (const roomId of [rejected, retracted]) {
      expect(membershipsOf(leave![roomId]!.timeline.events)).toEqual(["leave"]);
      expect(leave![roomId]!.state.events).toEqual([]);
    }
  });

  test("a state reset of one's own membership ends the room without a word", async () => {
    const { alice, bob } = await pair();
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    const before = await bob.sync();
    await homeserver.control.resetState(roomId, "m.room.member", bob.userId);
    await alice.send(roomId, "without bob");
    expect((await bob.sync({ since: before.next_batch })).rooms).toBeUndefined();
    expect((await bob.call("GET", "/joined_rooms")).joined_rooms).toEqual([]);
    await expect(bob.state(roomId)).rejects.toMatchObject({ status: 403 });
  });

  test("who may not is told so, in Synapse's words", async () => {
    const { alice, bob } = await pair();
    const roomId = await alice.createRoom({ preset: "private_chat" });
    const refusal = (errcode: string) => ({ status: 403, errcode });
    await expect(bob.join(roomId)).rejects.toMatchObject(refusal("M_FORBIDDEN"));
    await expect(bob.send(roomId, "hello")).rejects.toMatchObject(refusal("M_FORBIDDEN"));
    await expect(bob.state(roomId)).rejects.toMatchObject(refusal("M_FORBIDDEN"));
    await alice.ban(roomId, bob.userId);
    await expect(bob.join(roomId)).rejects.toMatchObject(refusal("M_BAD_STATE"));
    await expect(alice.invite(roomId, bob.userId)).rejects.toMatchObject(refusal("M_BAD_STATE"));
  });
});
