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

async function users(): Promise<{ alice: Robot; bob: Robot; carol: Robot }> {
  made += 1;
  const [alice, bob, carol] = await Promise.all(
    ["alice", "bob", "carol"].map((name) => homeserver.register(`${name}${made}`)),
  );
  return { alice: alice!, bob: bob!, carol: carol! };
}

const roomOf = (body: SyncBody, roomId: string) => body.rooms!.join![roomId]!;
const texts = (events: readonly { type: string; content: Record<string, unknown> }[]) =>
  events.filter(({ type }) => type === "m.room.message").map(({ content }) => content.body);
const visibility = (history_visibility: string) => ({
  type: "m.room.history_visibility",
  content: { history_visibility },
});
const WIDE = { room: { timeline: { limit: 50 } } };

describe("what the scripted homeserver shows to whom", () => {
  test.each([
    ["shared", ["before", "invited", "joined"]],
    ["invited", ["invited", "joined"]],
    ["joined", ["joined"]],
  ])("with %s history a new member sees %j", async (setting, expected) => {
    const { alice, bob } = await users();
    const roomId = await alice.createRoom({ preset: "private_chat", initial_state: [visibility(setting)] });
    await alice.send(roomId, "before");
    await alice.invite(roomId, bob.userId);
    await alice.send(roomId, "invited");
    await bob.join(roomId);
    await alice.send(roomId, "joined");
    expect(texts(roomOf(await bob.sync({ filter: WIDE }), roomId).timeline.events)).toEqual(expected);
    const page = await bob.messages(roomId, { limit: "50" });
    expect(texts(page.chunk).reverse()).toEqual(expected);
  });

  test("who left reads no further than their leave, state included", async () => {
    const { alice, bob } = await users();
    const roomId = await alice.createRoom({ preset: "public_chat", name: "old name" });
    await bob.join(roomId);
    await bob.leave(roomId);
    await alice.send(roomId, "after");
    await alice.setState(roomId, "m.room.name", { name: "new name" });
    expect(texts((await bob.messages(roomId, { limit: "50" })).chunk)).toEqual([]);
    const name = (await bob.state(roomId)).find(({ type }) => type === "m.room.name");
    expect(name!.content.name).toBe("old name");
    await expect(bob.call("GET", `/rooms/${encodeURIComponent(roomId)}/joined_members`)).rejects.toMatchObject({
      status: 403,
    });
  });

  test("the same event tells each reader their own membership at it", async () => {
    const { alice, bob } = await users();
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await alice.send(roomId, "early");
    await bob.join(roomId);
    const membershipFor = async (robot: Robot) => {
      const { events } = roomOf(await robot.sync({ filter: WIDE }), roomId).timeline;
      return events.find(({ content }) => content.body === "early")!.unsigned!.membership;
    };
    expect(await membershipFor(alice)).toBe("join");
    expect(await membershipFor(bob)).toBe("leave");
  });

  test("messages of an ignored user are hidden, their state is not, nor does it count", async () => {
    const { alice, bob, carol } = await users();
    const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
    await bob.join(roomId);
    await carol.join(roomId);
    await alice.accountData("m.ignored_user_list", { ignored_users: { [carol.userId]: {} } });
    const before = await alice.sync();
    await carol.send(roomId, "hidden");
    await bob.send(roomId, "shown");
    await carol.setDisplayName("Visible");
    const room = roomOf(await alice.sync({ since: before.next_batch }), roomId);
    expect(room.timeline.events.map(({ type }) => type)).toEqual(["m.room.message", "m.room.member"]);
    expect(texts(room.timeline.events)).toEqual(["shown"]);
    expect(room.unread_notifications.notification_count).toBe(1);
  });

  test("an invite of an ignored user is hidden, and comes with the next first sync once they are not", async () => {
    const { alice, bob } = await users();
    await alice.accountData("m.ignored_user_list", { ignored_users: { [bob.userId]: {} } });
    const before = await alice.sync();
    const roomId = await bob.createRoom({ preset: "private_chat", invite: [alice.userId] });
    expect((await alice.sync({ since: before.next_batch })).rooms).toBeUndefined();
    expect((await alice.sync()).rooms).toBeUndefined();
    await alice.accountData("m.ignored_user_list", { ignored_users: {} });
    expect(Object.keys((await alice.sync()).rooms!.invite!)).toEqual([roomId]);
  });

  test("a private receipt is seen by its owner alone", async () => {
    const { alice, bob } = await users();
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    const eventId = await alice.send(roomId, "read me");
    const [before, other] = [await bob.sync(), await alice.sync()];
    await bob.receipt(roomId, eventId, "m.read.private");
    const own = roomOf(await bob.sync({ since: before.next_batch }), roomId).ephemeral.events;
    expect(own[0]!.content).toMatchObject({ [eventId]: { "m.read.private": { [bob.userId]: {} } } });
    expect((await alice.sync({ since: other.next_batch })).rooms).toBeUndefined();
    await bob.receipt(roomId, eventId);
    const seen = roomOf(await alice.sync({ since: other.next_batch, timeout: 1 }), roomId).ephemeral.events;
    expect(Object.keys(seen[0]!.content[eventId] as object)).toEqual(["m.read"]);
  });

  test("unread counts follow push rules and receipts, by thread when asked", async () => {
    const { alice, bob } = await users();
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    const before = await alice.sync();
    const root = await bob.send(roomId, `hello alice${made}`);
    const inThread = { msgtype: "m.text", body: "reply", "m.relates_to": { rel_type: "m.thread", event_id: root } };
    await bob.send(roomId, inThread);
    await bob.send(roomId, { msgtype: "m.notice", body: "no count" });
    const query = { since: before.next_batch };
    const folded = roomOf(await alice.sync(query), roomId);
    expect(folded.unread_notifications).toEqual({ notification_count: 2, highlight_count: 1 });
    const split = roomOf(
      await alice.sync({ ...query, filter: { room: { timeline: { unread_thread_notifications: true } } } }),
      roomId,
    );
    expect(split.unread_notifications).toEqual({ notification_count: 1, highlight_count: 1 });
    expect(split.unread_thread_notifications).toEqual({ [root]: { notification_count: 1, highlight_count: 0 } });
    await alice.receipt(roomId, root);
    const read = roomOf(await alice.sync({ ...query, timeout: 1 }), roomId);
    expect(read.unread_notifications).toEqual({ notification_count: 1, highlight_count: 0 });
  });
});
