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

const LAZY = { room: { timeline: { limit: 2 }, state: { lazy_load_members: true } } };
const REDUNDANT = {
  room: { timeline: { limit: 2 }, state: { lazy_load_members: true, include_redundant_members: true } },
};

async function room(names: readonly string[], options: Record<string, unknown> = {}) {
  made += 1;
  const alice = await homeserver.register(`alice${made}`);
  const roomId = await alice.createRoom({ preset: "public_chat", ...options });
  const others: Robot[] = [];
  for (const name of names) {
    const robot = await homeserver.register(`${name}${made}`);
    await robot.join(roomId);
    others.push(robot);
  }
  return { alice, roomId, others };
}

const roomOf = (body: SyncBody, roomId: string) => body.rooms!.join![roomId]!;
const membersIn = (body: SyncBody, roomId: string) =>
  roomOf(body, roomId)
    .state.events.filter(({ type }) => type === "m.room.member")
    .map(({ state_key }) => state_key!.replace(/\d+:.*/, ""))
    .sort();

describe("lazy members of the scripted homeserver", () => {
  test("a replayed since brings no member that an earlier answer brought", async () => {
    const { alice, roomId, others } = await room(["bob", "carol"], { name: "Named" });
    await others[1]!.send(roomId, "1");
    await others[1]!.send(roomId, "2");
    const first = await alice.sync({ filter: LAZY });
    expect(membersIn(first, roomId)).toEqual(["@alice", "@carol"]);

    await others[0]!.send(roomId, "3");
    const query = { since: first.next_batch, filter: LAZY };
    expect(membersIn(await alice.sync(query), roomId)).toEqual(["@bob"]);
    expect(membersIn(await alice.sync({ ...query, timeout: 1 }), roomId)).toEqual([]);
    expect(membersIn(await alice.sync({ ...query, filter: REDUNDANT }), roomId)).toEqual(["@bob"]);
  });

  test("what was sent is remembered by device, and forgotten with a first sync or after half an hour", async () => {
    const { alice, roomId, others } = await room(["bob"], { name: "Named" });
    const tablet = await homeserver.login(`alice${made}`, "TABLET");
    const first = await alice.sync({ filter: LAZY });
    await others[0]!.send(roomId, "1");
    await others[0]!.send(roomId, "2");
    const query = { since: first.next_batch, filter: LAZY };
    expect(membersIn(await alice.sync(query), roomId)).toEqual([]);
    expect(membersIn(await tablet.sync(query), roomId)).toEqual(["@bob"]);
    expect(membersIn(await tablet.sync({ ...query, timeout: 1 }), roomId)).toEqual([]);
    await homeserver.control.advanceClock(30 * 60_000);
    expect(membersIn(await tablet.sync({ ...query, timeout: 2 }), roomId)).toEqual(["@bob"]);
  });

  test("the members of a gap are all told", async () => {
    const { alice, roomId, others } = await room(["bob", "carol"], { name: "Named" });
    const first = await alice.sync({ filter: LAZY });
    await others[0]!.leave(roomId);
    for (const text of ["1", "2", "3"]) await others[1]!.send(roomId, text);
    const after = await alice.sync({ since: first.next_batch, filter: LAZY });
    expect(roomOf(after, roomId).timeline.limited).toBe(true);
    expect(membersIn(after, roomId)).toContain("@bob");
  });

  test("a nameless room has up to five heroes with their member events, never the reader", async () => {
    const { alice, roomId } = await room(["bob", "carol", "dave", "erin", "frank", "grace"]);
    const body = await alice.sync({ filter: LAZY });
    const { summary } = roomOf(body, roomId);
    const names = (summary["m.heroes"] as string[]).map((userId) => userId.replace(/\d+:.*/, ""));
    expect(names).toEqual(["@bob", "@carol", "@dave", "@erin", "@frank"]);
    expect(summary).toMatchObject({ "m.joined_member_count": 7, "m.invited_member_count": 0 });
    expect(membersIn(body, roomId)).toEqual(expect.arrayContaining(["@alice", "@bob", "@carol", "@dave"]));
  });

  test("a summary comes with changes of members only, and with lazy loading only", async () => {
    const { alice, roomId, others } = await room(["bob"]);
    const first = await alice.sync({ filter: LAZY });
    await others[0]!.send(roomId, "no member change");
    const second = await alice.sync({ since: first.next_batch, filter: LAZY });
    expect(roomOf(second, roomId).summary).toEqual({});
    await others[0]!.leave(roomId);
    const third = await alice.sync({ since: second.next_batch, filter: LAZY });
    expect(roomOf(third, roomId).summary).toMatchObject({
      "m.joined_member_count": 1,
      "m.heroes": [others[0]!.userId],
    });
    expect(roomOf(await alice.sync(), roomId).summary).toEqual({});
  });

  test("a profile change is a member event in every joined room", async () => {
    const { alice, roomId, others } = await room(["bob"]);
    const first = await alice.sync();
    await others[0]!.setDisplayName("Bobby");
    const [event] = roomOf(await alice.sync({ since: first.next_batch }), roomId).timeline.events;
    expect(event!.content).toEqual({ membership: "join", displayname: "Bobby" });
    expect(event!.unsigned!.prev_content).toEqual({ membership: "join", displayname: `bob${made}` });
  });
});
