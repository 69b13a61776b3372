import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { ChangeStream } from "../../src/model/change.ts";
import { Membership } from "../../src/model/membership.ts";
import { NO_STAY } from "../../src/model/room-facts.ts";
import { BEFORE_ALL } from "../../src/model/stream-position.ts";
import { IntakeStage, type StageDevice } from "../support/intake-stage.ts";
import { ALICE, BOB, create, inRoom, member, message, type RoomParts, type V2Event } from "../support/v2-events.ts";

let stage: IntakeStage;
let alice: StageDevice;
let bob: StageDevice;
let roomId: string;
let tag: string;
let made = 0;

beforeAll(async () => {
  stage = await IntakeStage.open();
  alice = await stage.device(ALICE);
  bob = await stage.device(BOB);
  for (const device of [alice, bob]) await stage.respond(device, {});
});
afterAll(() => stage[Symbol.asyncDispose]());

/** Alice's room, into which Bob came. */
beforeEach(async () => {
  made += 1;
  tag = `.${made}`;
  roomId = `!r${made}:test`;
  const begin = [create(`$create${tag}`), member(`$alice${tag}`, ALICE, "join"), member(`$bob${tag}`, BOB, "join")];
  await joined(alice, begin);
  await joined(bob, begin.slice(1), { limited: true, state: begin.slice(0, 1) });
});

const section = (kind: string, body: object) => ({ rooms: { [kind]: { [roomId]: body } } });
const joined = (device: StageDevice, timeline: readonly V2Event[], more: RoomParts = {}) =>
  stage.respond(device, section("join", inRoom(timeline, more)));
const left = (device: StageDevice, timeline: readonly V2Event[], more: RoomParts = {}) =>
  stage.respond(device, section("leave", inRoom(timeline, more)));

const own = (name: string, membership: string, more: Partial<V2Event> = {}) =>
  member(`$${name}${tag}`, BOB, membership, more);
const byAlice = { sender: ALICE };
const bobs = async () => {
  const row = await stage.membership(roomId, BOB);
  const text = (value: unknown) => (typeof value === "string" ? value.replace(tag, "") : value);
  return [row?.membership, text(row?.event), text(row?.since_event), row?.sender];
};

describe("a user's membership", () => {
  test("is a join from where that stands", async () => {
    expect(await bobs()).toEqual([Membership.join, "$bob", "$bob", BOB]);
  });

  test.each([
    ["leave", "leave", {}, Membership.leave, BOB],
    ["kick", "leave", byAlice, Membership.leave, ALICE],
    ["ban", "ban", byAlice, Membership.ban, ALICE],
  ])("ends with a %s, from the user's own stream", async (name, membership, more, expected, sender) => {
    const before = stage.writer.position;
    await left(bob, [message(`$m${tag}`), own(name, membership, more)]);
    expect(await bobs()).toEqual([expected, `$${name}`, `$${name}`, sender]);
    const [room, change] = await stage.changes(before);
    expect(room).toMatchObject({ stream: ChangeStream.room, room: roomId });
    expect(change).toMatchObject({ stream: ChangeStream.membership, room: roomId, user: BOB });
    const [{ departure_nid: departure }] = (await stage.rows<{ departure_nid: number }>(
      "SELECT departure_nid FROM memberships m JOIN rooms r USING (room) WHERE r.room_id = $1 AND m.user_nid = $2",
      roomId,
      bob.claim.userNid,
    )) as [{ departure_nid: number }];
    expect(departure).not.toBeNull();
  });

  test("ends at once with what another's stream tells of it, and begins again by the user's own", async () => {
    await joined(alice, [own("kick", "leave", byAlice), message(`$secret${tag}`)]);
    expect(await bobs()).toEqual([Membership.leave, "$kick", "$kick", ALICE]);
    await joined(alice, [own("back", "join")]);
    expect((await bobs())[0]).toBe(Membership.leave);
    await joined(bob, [own("kick", "leave", byAlice), own("back", "join")], { limited: true });
    expect(await bobs()).toEqual([Membership.join, "$back", "$back", BOB]);
  });

  test("is not given back by what was on its way when another's stream told of a kick", async () => {
    const asked = stage.writer.position;
    await joined(alice, [own("kick", "leave", byAlice)]);
    await stage.respond(bob, section("join", inRoom([message(`$m${tag}`)])), { storedBefore: asked });
    expect((await bobs())[0]).toBe(Membership.leave);
    await left(bob, [own("kick", "leave", byAlice)]);
    expect(await bobs()).toEqual([Membership.leave, "$kick", "$kick", ALICE]);
  });

  test("begins anew after a departure within one response", async () => {
    const before = await stage.membership(roomId, BOB);
    await joined(bob, [own("out", "leave"), own("back", "join"), message(`$hi${tag}`)]);
    expect(await bobs()).toEqual([Membership.join, "$back", "$back", BOB]);
    expect((await stage.membership(roomId, BOB))?.since).toBeGreaterThan(Number(before?.since));
  });

  test("goes on when the name changes", async () => {
    const before = await stage.membership(roomId, BOB);
    await joined(bob, [own("named", "join", { unsigned: { prev_content: { membership: "join" } } })]);
    expect(await bobs()).toEqual([Membership.join, "$named", "$bob", BOB]);
    const after = await stage.membership(roomId, BOB);
    expect([after?.since, after?.since_order_key]).toEqual([before?.since, before?.since_order_key]);
    expect(after?.changed).toBeGreaterThan(Number(before?.changed));
  });

  test("folds what several responses in one transaction say", async () => {
    const asked = stage.writer.position;
    const parts: Promise<unknown>[] = [];
    // The first goes alone; what comes while it is stored goes together.
    parts.push(joined(alice, [message(`$first${tag}`)]));
    const carol = await stage.device(`@carol${made}:test`);
    parts.push(left(bob, [own("out", "leave")]));
    parts.push(
      stage.respond(carol, section("join", inRoom([own("out", "leave"), message(`$m${tag}`)])), {
        storedBefore: asked,
      }),
    );
    await Promise.all(parts);
    expect(await bobs()).toEqual([Membership.leave, "$out", "$out", BOB]);
  });
});

describe("an invite", () => {
  const carolOf = () => `@guest${made}:test`;
  const invite = (eventId = `$i${tag}`) => ({
    invite_state: {
      events: [
        { type: "m.room.name", state_key: "", sender: ALICE, content: { name: "Name" } },
        member(eventId, carolOf(), "invite", { sender: ALICE, origin_server_ts: 7_000 }),
      ],
    },
  });

  test("is kept with its stripped state, ends with a join, and says nothing of the room", async () => {
    const carol = await stage.device(carolOf());
    await stage.respond(carol, {});
    const before = await stage.room(roomId);
    await stage.respond(carol, section("invite", invite()));
    const row = await stage.membership(roomId, carolOf());
    expect(row).toMatchObject({ membership: Membership.invite, sender: ALICE, event: null });
    expect(JSON.parse(String(row?.stripped))).toEqual(invite().invite_state.events);
    expect(await stage.room(roomId)).toEqual(before);
    await joined(carol, [member(`$in${tag}`, carolOf(), "join")], { limited: true });
    expect(await stage.membership(roomId, carolOf())).toMatchObject({
      membership: Membership.join,
      event: `$in${tag}`,
      since_event: `$in${tag}`,
      stripped: null,
    });
  });

  test("that follows a departure in one response stands, in whatever order the response has the two", async () => {
    const invite = { type: "m.room.member", state_key: BOB, sender: ALICE, content: { membership: "invite" } };
    const rooms = {
      invite: { [roomId]: { invite_state: { events: [invite] } } },
      leave: { [roomId]: inRoom([own("gone", "leave")]) },
    };
    await stage.respond(bob, { rooms });
    expect((await bobs())[0]).toBe(Membership.invite);
  });

  test("that is told again is no news", async () => {
    const carol = await stage.device(carolOf());
    await stage.respond(carol, section("invite", invite()));
    const before = stage.writer.position;
    await stage.respond(carol, section("invite", invite()));
    expect(await stage.changes(before)).toEqual([]);
  });

  test("that is refused ends without an event in the room's timeline", async () => {
    const carol = await stage.device(carolOf());
    await stage.respond(carol, section("invite", invite()));
    const line = await stage.line(roomId);
    await left(carol, [member(`$madeup${tag}`, carolOf(), "leave")]);
    expect(await stage.membership(roomId, carolOf())).toMatchObject({
      membership: Membership.leave,
      event: `$madeup${tag}`,
      sender: carolOf(),
      since_order_key: NO_STAY,
    });
    expect(await stage.line(roomId)).toBe(line);
  });

  test("to a room that nobody is in makes a room of which nothing is known", async () => {
    const carol = await stage.device(carolOf());
    roomId = `!elsewhere${made}:test`;
    await stage.respond(carol, section("invite", invite()));
    expect(await stage.room(roomId)).toMatchObject({ is_complete: false, last_order_key: null });
  });

  test("may be a knock", async () => {
    const carol = await stage.device(carolOf());
    const events = [member(`$k${tag}`, carolOf(), "knock")];
    await stage.respond(carol, section("knock", { knock_state: { events } }));
    expect(await stage.membership(roomId, carolOf())).toMatchObject({
      membership: Membership.knock,
      sender: carolOf(),
    });
  });
});

describe("unread counts and heroes", () => {
  test("are the user's own, and news only when they differ", async () => {
    const counts = (notifications: number, highlights: number) => ({
      unread_notifications: { notification_count: notifications, highlight_count: highlights },
      unread_thread_notifications: { [`$t${tag}`]: { notification_count: 2, highlight_count: 1 } },
      summary: { "m.heroes": [ALICE] },
    });
    const before = stage.writer.position;
    await joined(bob, [], counts(3, 0));
    expect(await stage.membership(roomId, BOB)).toMatchObject({
      notification_count: 5,
      highlight_count: 1,
      heroes: [ALICE],
    });
    const changes = await stage.changes(before);
    expect(changes).toMatchObject([{ stream: ChangeStream.membership, room: roomId, user: BOB }]);
    const after = stage.writer.position;
    await joined(bob, [], counts(3, 0));
    expect(await stage.changes(after)).toEqual([]);
    await joined(bob, [], { unread_notifications: { notification_count: 0, highlight_count: 0 } });
    expect(await stage.membership(roomId, BOB)).toMatchObject({
      notification_count: 0,
      highlight_count: 0,
      heroes: [ALICE],
    });
    expect(await stage.membership(roomId, ALICE)).toMatchObject({ notification_count: 0, heroes: null });
  });

  test("of rooms of a long response share its membership change", async () => {
    const before = stage.writer.position;
    const intake = stage.intake(bob, { storedBefore: BEFORE_ALL });
    const parts: RoomParts = { unread_notifications: { notification_count: 4 } };
    const filler = Array.from({ length: 1_000 }, (_, n) => message(`$fill${n}${tag}`));
    const rooms = { [roomId]: inRoom([], parts), [`!big${made}:test`]: inRoom(filler) };
    await intake.write(Buffer.from(JSON.stringify({ next_batch: `long${made}`, rooms: { join: rooms } })));
    bob.since = (await intake.end()).nextBatch;
    expect(await stage.membership(roomId, BOB)).toMatchObject({ notification_count: 4 });
    const own = (await stage.changes(before)).filter(({ stream }) => stream === ChangeStream.membership);
    expect(own).toEqual([{ stream: ChangeStream.membership, flags: 0, room: null, user: BOB, device: null }]);
  });
});

describe("what a first sync of another device leaves out", () => {
  const strippedBy = (sender: string, membership: string) => [
    { type: "m.room.member", state_key: BOB, sender, content: { membership } },
  ];
  const MALLORY = "@mallory:test";
  const room = (name: string) => `!${name}${tag}:test`;
  /** Bob is in the room of every test, and has two invites and a knock. */
  const invited = async () => {
    await stage.respond(bob, {
      rooms: {
        invite: {
          [room("invite")]: { invite_state: { events: strippedBy(ALICE, "invite") } },
          [room("ignored")]: { invite_state: { events: strippedBy(MALLORY, "invite") } },
        },
        knock: { [room("knock")]: { knock_state: { events: strippedBy(BOB, "knock") } } },
      },
    });
    return stage.writer.position;
  };
  const ignoring = {
    account_data: { events: [{ type: "m.ignored_user_list", content: { ignored_users: { [MALLORY]: {} } } }] },
  };
  /** Rooms of this test that are to be asked for, with what stands when nobody may know. */
  const contested = async () => {
    const rows = await stage.rows<{ body: string }>("SELECT body FROM contests WHERE user_nid = $1", bob.claim.userNid);
    const mine = rows.map(({ body }) => JSON.parse(body)).filter(({ roomId: id }) => id === roomId || id.includes(tag));
    return new Map(mine.map(({ roomId: id, claimed }) => [id, claimed?.leftOutAfter]));
  };

  test("is asked for; a knock need not be told, and invites by who is ignored are none", async () => {
    const storedBefore = await invited();
    const other = await stage.device(BOB, `OTHER${tag}`);
    await stage.respond(other, ignoring, { storedBefore });
    expect(await contested()).toEqual(
      new Map([
        [roomId, storedBefore],
        [room("invite"), storedBefore],
        [room("knock"), undefined],
      ]),
    );
  });

  test("is not asked for when it was stored after the request, nor what the response names", async () => {
    const { position } = stage.writer;
    await invited();
    const other = await stage.device(BOB, `OTHER${tag}`);
    await stage.respond(other, section("join", inRoom([])), { storedBefore: position });
    expect(await contested()).toEqual(new Map());
  });

  test("is not asked for by a response that goes on from another", async () => {
    await invited();
    await stage.respond(bob, {});
    expect(await contested()).toEqual(new Map());
  });
});
