import { describe, expect, test } from "@jest/globals";
import { ChangeStream } from "../../../src/model/change.ts";
import type { UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import { NO_PLACE_YET, NO_STAY } from "../../../src/model/room-facts.ts";
import { DraftedRoom, seen } from "../../support/drafted-room.ts";
import { ban, bobs, goesOn, kick, membershipOf as of, shared, shown, stale } from "../../support/stays.ts";
import { ALICE, BOB, CAROL, create, inRoom, member, message, messages, type V2Event } from "../../support/v2-events.ts";

const wasJoined = { unsigned: { prev_content: { membership: "join" } } };

describe("a join", () => {
  test("of a room of which nothing was known counts from before all that is stored", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([message("$a")], { limited: true, state: [create(), member("$alice", ALICE, "join")] }));
    expect(shown(room, ALICE)).toEqual(["join", "$alice", undefined]);
    expect(of(room, ALICE)?.sinceOrderKey).toBeUndefined();
  });

  test("within the timeline counts from there", () => {
    const room = shared();
    expect(shown(room)).toEqual(["join", "$bob", "$bob"]);
    expect(shown(room, ALICE)).toEqual(["join", "$alice", "$alice"]);
  });

  test("that was before the timeline counts from its first event, which the homeserver shows", () => {
    const room = new DraftedRoom();
    room.fold(
      "join",
      inRoom([create(), member("$alice", ALICE, "join"), member("$bob", BOB, "join"), ...messages("$a", "$b")]),
    );
    room.fold("join", inRoom(messages("$b"), { limited: true, state: [member("$bob", BOB, "join")] }), bobs);
    expect(shown(room)).toEqual(["join", "$bob", "$b"]);
  });

  test("of which no event is shown counts from the first event that is shown later", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), ...messages("$a", "$b")]));
    room.fold("join", inRoom([], { state: [member("$bob", BOB, "join")] }), bobs);
    expect(of(room, BOB)?.sinceOrderKey).toBe(NO_PLACE_YET);
    room.fold("join", inRoom([message("$b"), message("$c")]), bobs);
    expect(shown(room)).toEqual(["join", "$bob", "$b"]);
  });

  test("of which nobody knows where it stands counts from nowhere, until that is known", () => {
    const room = shared();
    const carols = { userNid: 3 as UserNid, userId: CAROL as UserId };
    const news = inRoom([member("$carol", CAROL, "join"), message("$hi")], { limited: true });
    room.fold("join", news, { ...carols, ...stale });
    expect([shown(room, CAROL)[0], of(room, CAROL)?.sinceOrderKey]).toEqual(["join", NO_PLACE_YET]);
    room.fold("join", inRoom([message("$later")]), { ...carols, ...seen("$hi") });
    expect(shown(room, CAROL)).toEqual(["join", "$carol", "$later"]);
    const asked = [message("$before"), member("$carol", CAROL, "join"), message("$hi"), message("$later")];
    const { changes } = room.fold("join", inRoom(asked, { limited: true }), { ...carols, poll: "asked" });
    expect(shown(room, CAROL)).toEqual(["join", "$carol", "$carol"]);
    expect(changes.map(({ stream, userNid }) => [stream, userNid])).toContainEqual([ChangeStream.membership, 3]);
  });

  test("does not count from an earlier one that a slow response tells of", () => {
    const room = shared();
    const arrival = [member("$in", BOB, "join"), message("$then")];
    room.fold("leave", inRoom([member("$out", BOB, "leave")]), goesOn);
    room.fold("join", inRoom([member("$out", BOB, "leave"), message("$hidden"), member("$back", BOB, "join")]), bobs);
    room.fold("join", inRoom([...arrival, message("$hidden")], { limited: true }), { ...bobs, ...stale });
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
  });

  test("is not taken for one when it changes a name", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), ...messages("$a", "$b")]));
    room.fold("join", inRoom([message("$b"), member("$named", BOB, "join", wasJoined)]), bobs);
    expect(shown(room)).toEqual(["join", "$named", "$b"]);
  });

  test("that another stream brought first counts from where it stands", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), message("$a"), member("$bob", BOB, "join"), message("$b")]));
    expect(of(room, BOB)).toBeUndefined();
    room.fold("join", inRoom([message("$a"), member("$bob", BOB, "join"), message("$b")]), bobs);
    expect(shown(room)).toEqual(["join", "$bob", "$bob"]);
  });

  test("goes on when the name changes, with the new event", () => {
    const room = shared();
    const { since } = of(room, BOB)!;
    const { changes } = room.fold("join", inRoom([member("$named", BOB, "join", wasJoined)]), bobs);
    expect(shown(room)).toEqual(["join", "$named", "$bob"]);
    expect(of(room, BOB)?.since).toBe(since);
    expect(changes.map(({ stream, userNid }) => [stream, userNid])).toEqual([
      [ChangeStream.room, undefined],
      [ChangeStream.membership, 2],
    ]);
  });

  test("is no news when it is told again", () => {
    const room = shared();
    const again = inRoom([message("$m")], { state: [member("$bob", BOB, "join")] });
    expect(room.fold("join", again, bobs).changes.map(({ stream }) => stream)).toEqual([ChangeStream.room]);
    expect(room.fold("join", again, bobs).changes).toEqual([]);
  });

  test("of others waits for their own stream", () => {
    const room = shared();
    room.fold("leave", inRoom([member("$out", BOB, "leave")]), goesOn);
    room.fold("join", inRoom([member("$out", BOB, "leave"), member("$back", BOB, "join")]));
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
    room.fold("join", inRoom([member("$back", BOB, "join"), message("$hi")], { limited: true }), bobs);
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
  });

  test("after a departure within one section begins anew", () => {
    const room = shared();
    const { since } = of(room, BOB)!;
    room.fold("join", inRoom([member("$out", BOB, "leave"), member("$back", BOB, "join"), message("$hi")]), bobs);
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
    expect(of(room, BOB)?.since).toBeGreaterThan(since!);
  });

  test("does not begin anew for a departure that was before it", () => {
    const room = shared();
    const { since } = of(room, BOB)!;
    const past = [member("$before", BOB, "leave"), member("$alice", ALICE, "join"), member("$bob", BOB, "join")];
    room.fold("join", inRoom([...past, member("$named", BOB, "join", wasJoined)], { limited: true }), bobs);
    expect(shown(room)).toEqual(["join", "$named", "$bob"]);
    expect(of(room, BOB)?.since).toBe(since);
  });
});

describe("a departure", () => {
  test.each([
    ["leave", member("$out", BOB, "leave"), BOB],
    ["leave", kick("$out"), ALICE],
    ["ban", member("$out", BOB, "ban", { sender: ALICE }), ALICE],
  ] as const)("by %s ends with its event, and tells who did it", (membership, event: V2Event, sender) => {
    const room = shared();
    room.fold("leave", inRoom([message("$m"), event]), goesOn);
    expect(shown(room)).toEqual([membership, "$out", "$out"]);
    expect(of(room, BOB)?.sender).toBe(sender);
  });

  test("that a first sync tells of is as old as its event, unless somebody may have to be told of it", () => {
    const old = inRoom([member("$out", BOB, "ban", { sender: ALICE, origin_server_ts: 5_000 })]);
    const first = { ...bobs, poll: "first" } as const;
    const { writes } = new DraftedRoom().fold("leave", old, first);
    expect(writes.memberships).toMatchObject([{ membership: Membership.ban, sinceUs: 5_000_000 }]);
    const known = shared().fold("leave", old, first);
    expect(known.writes.memberships).toMatchObject([{ membership: Membership.ban, sinceUs: undefined }]);
  });

  test("that is told in the state alone ends with the timeline", () => {
    const room = shared();
    room.fold("leave", inRoom([message("$m")], { state: [kick("$out")] }), goesOn);
    expect(shown(room)).toEqual(["leave", "$out", "$m"]);
  });

  test("of which nobody knows where it stands ends nowhere, until another stream has it", () => {
    const room = shared();
    room.fold("leave", inRoom([message("$m"), kick("$out")], { limited: true }), { ...bobs, ...stale });
    expect(shown(room)).toEqual(["leave", "$out", undefined]);
    const { since } = of(room, BOB)!;
    room.fold("join", inRoom([message("$m"), kick("$out"), message("$after")]), seen("$bob"));
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
    expect(of(room, BOB)?.since).toBe(since);
  });

  test("without its event is a departure all the same", () => {
    const room = shared();
    room.fold("leave", inRoom([message("$m")]), goesOn);
    expect(shown(room)).toEqual(["leave", undefined, "$m"]);
  });

  test("is no news when it is told again, unless by another event", () => {
    const room = shared();
    room.fold("leave", inRoom([kick("$out")]), goesOn);
    const { since } = of(room, BOB)!;
    expect(room.fold("leave", inRoom([kick("$out")]), bobs).changes).toEqual([]);
    room.fold("leave", inRoom([kick("$again")]), bobs);
    expect(shown(room)).toEqual(["leave", "$again", "$out"]);
    expect(of(room, BOB)?.since).toBe(since);
  });

  test("that becomes a ban is news, and ended what the user saw with the first of them", () => {
    const room = shared();
    room.fold("leave", inRoom([kick("$out")]), goesOn);
    const { since } = of(room, BOB)!;
    room.fold("join", inRoom([kick("$out"), message("$hidden")]), seen("$bob"));
    room.fold("leave", inRoom([ban("$banned")]), { ...bobs, ...seen("$out") });
    expect(shown(room)).toEqual(["ban", "$banned", "$out"]);
    expect(of(room, BOB)?.since).toBeGreaterThan(since!);
  });

  test.each([
    ["tells it", { limited: true, state: [kick("$out")] }],
    ["does not tell it", { limited: true }],
  ])("that follows one that a gap hides ended what the user saw before the gap, where the state %s", (_what, parts) => {
    const again = { ...kick("$again"), unsigned: { prev_content: { membership: "leave" } } };
    const room = shared();
    room.fold("leave", inRoom([again], parts), goesOn);
    expect(shown(room)).toEqual(["leave", "$again", "$bob"]);
  });

  test("that the state has as well as the timeline ended what the user saw where it stands", () => {
    const room = shared();
    room.fold("leave", inRoom([message("$seen"), kick("$out")], { state: [kick("$out")] }), goesOn);
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
  });

  test("of which two come together ended what the user saw with the first of them, whoever tells", () => {
    const both = inRoom([kick("$out"), message("$hidden"), ban("$banned")]);
    const [own, others] = [shared(), shared()];
    own.fold("leave", both, goesOn);
    others.fold("join", both);
    expect([shown(own), shown(others)]).toEqual([
      ["ban", "$banned", "$out"],
      ["ban", "$banned", "$out"],
    ]);
  });
});

describe("what a slower stream says of its user", () => {
  test("does not take back a kick that another stream told of", () => {
    const room = shared();
    room.fold("join", inRoom([kick("$out")]));
    const late = inRoom([message("$m")], { state: [member("$bob", BOB, "join")] });
    room.fold("join", late, { ...bobs, ...stale });
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
  });

  test("does not let in who was kicked before anything was known of them", () => {
    const room = new DraftedRoom();
    const arrival = [member("$alice", ALICE, "join"), member("$bob", BOB, "join")];
    room.fold("join", inRoom([create(), ...arrival, kick("$out"), message("$hidden")]));
    room.fold("join", inRoom(arrival, { state: [create()] }), { ...bobs, ...stale });
    expect(of(room, BOB)).toBeUndefined();
    expect(room.lastContests).toContainEqual(
      expect.objectContaining({ kind: "membership", userId: BOB, stored: Membership.leave }),
    );
    room.fold("join", inRoom([kick("$out"), member("$back", BOB, "join")]), { ...bobs, ...stale });
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
  });

  test("is believed once it was asked for after the kick, for the kick may not have stood", () => {
    const room = shared();
    room.fold("join", inRoom([kick("$out")]));
    room.fold("join", inRoom([message("$m")]), bobs);
    expect(of(room, BOB)).toMatchObject({ membership: Membership.join });
  });

  test("is believed when it shows the kick to be over", () => {
    const room = shared();
    room.fold("join", inRoom([kick("$out")]));
    room.fold("join", inRoom([kick("$out"), member("$back", BOB, "join")]), { ...bobs, ...stale });
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
  });

  test("is not believed when its last word is the departure", () => {
    const room = shared();
    room.fold("join", inRoom([kick("$out")]));
    room.fold("join", inRoom([kick("$out"), message("$m")]), { ...bobs, ...stale });
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
  });

  test("does not take back a rejoin with the departure before it", () => {
    const room = shared();
    room.fold("leave", inRoom([kick("$out")]), bobs);
    room.fold("join", inRoom([kick("$out"), member("$back", BOB, "join")]), bobs);
    room.fold("leave", inRoom([kick("$out")]), { ...bobs, ...stale });
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
  });

  test("acts at once when it is a departure that was not known", () => {
    const room = shared();
    room.fold("leave", inRoom([kick("$out")]), { ...goesOn, ...stale });
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
  });

  test("does not take a join back to the invite before it", () => {
    const room = shared();
    room.fold("invite", { invite_state: { events: [member("$invited", BOB, "invite")] } }, { ...bobs, ...stale });
    expect(shown(room)).toEqual(["join", "$bob", "$bob"]);
  });
});

describe("an invite", () => {
  const invite = {
    invite_state: {
      events: [
        { type: "m.room.name", state_key: "", content: {} },
        member("$i", BOB, "invite", { sender: ALICE, origin_server_ts: 5_000 }),
      ],
    },
  };

  test("is kept as it came, apart from the room", () => {
    const room = new DraftedRoom();
    const { writes, changes } = room.fold("invite", invite, bobs);
    expect(writes.memberships).toMatchObject([
      { membership: Membership.invite, sender: ALICE, nid: undefined, isTransition: true },
    ]);
    expect(JSON.parse(String(writes.memberships[0]?.stripped))).toEqual(invite.invite_state.events);
    expect([room.row.isComplete, room.events.size, changes.length]).toEqual([false, 0, 1]);
  });

  test.each([
    ["first", 5_000_000],
    ["catch-up", 5_000_000],
    ["live", undefined],
  ] as const)("that a %s response brings is as old as it says, unless it comes as it happens", (poll, sinceUs) => {
    const { writes } = new DraftedRoom().fold("invite", invite, { ...bobs, poll });
    expect(writes.memberships.map((each) => each.sinceUs)).toEqual([sinceUs]);
  });

  test("is no news when it is told again as it was", () => {
    const room = new DraftedRoom();
    room.fold("invite", invite, bobs);
    expect(room.fold("invite", invite, bobs).changes).toEqual([]);
    const { writes } = room.fold("invite", { invite_state: { events: [member("$j", BOB, "invite")] } }, bobs);
    expect(writes.memberships).toMatchObject([{ isTransition: false, sender: BOB }]);
  });

  test("may hold anything", () => {
    const room = new DraftedRoom();
    const events = ["text", null, { type: "m.room.member", state_key: BOB, sender: 5, origin_server_ts: "x" }];
    const { writes } = room.fold("invite", { invite_state: { events } }, { ...bobs, poll: "first" });
    expect(writes.memberships).toMatchObject([{ sender: BOB, sinceUs: undefined }]);
    expect(JSON.parse(String(writes.memberships[0]?.stripped))).toEqual([events[2]]);
    room.fold("invite", {}, bobs);
    expect(of(room, BOB)?.stripped?.toString()).toBe("[]");
    const future = { ...member("$i", BOB, "invite"), origin_server_ts: Number.MAX_SAFE_INTEGER };
    const late = room.fold("invite", { invite_state: { events: [future] } }, { ...bobs, poll: "first", nowUs: 77 });
    expect(late.writes.memberships).toMatchObject([{ sinceUs: 77 }]);
  });

  test("ends with a join, from where that stands", () => {
    const room = new DraftedRoom();
    room.fold(
      "join",
      inRoom([create(), member("$alice", ALICE, "join"), member("$i", BOB, "invite", { sender: ALICE })]),
    );
    room.fold("invite", invite, bobs);
    const arrival = [member("$i", BOB, "invite", { sender: ALICE }), member("$in", BOB, "join")];
    room.fold("join", inRoom(arrival, { limited: true, state: [create()] }), bobs);
    expect(shown(room)).toEqual(["join", "$in", "$in"]);
    expect(of(room, BOB)?.stripped).toBeUndefined();
  });

  test("that is refused ends by an event that may be made up, and stands in no timeline", () => {
    const room = new DraftedRoom();
    room.fold(
      "join",
      inRoom([create(), member("$alice", ALICE, "join"), member("$i", BOB, "invite", { sender: ALICE })]),
    );
    room.fold("invite", invite, bobs);
    const { changes } = room.fold("leave", inRoom([member("$madeup", BOB, "leave")]), bobs);
    expect(shown(room)).toEqual(["leave", "$madeup", undefined]);
    // Lists go on by what was known of the room.
    expect(JSON.parse(String(of(room, BOB)?.stripped))).toEqual(invite.invite_state.events);
    expect([room.line(), room.current("m.room.member", BOB)]).toEqual(["create alice i", "$i"]);
    expect(changes.map(({ stream }) => stream)).toEqual([ChangeStream.membership]);
    room.fold("join", inRoom([member("$real", BOB, "leave")]));
    expect(room.line()).toBe("create alice i real");
    expect(of(room, BOB)?.sinceOrderKey).toBe(NO_STAY);
  });

  test("to a room that nobody here knows may be taken back without an event", () => {
    const room = new DraftedRoom();
    room.fold("invite", invite, bobs);
    room.fold("leave", {}, bobs);
    expect(of(room, BOB)).toMatchObject({ membership: Membership.leave, nid: undefined });
  });
});

test("a knock is kept like an invite", () => {
  const room = new DraftedRoom();
  const { writes } = room.fold("knock", { knock_state: { events: [member("$k", BOB, "knock")] } }, bobs);
  expect(writes.memberships).toMatchObject([{ membership: Membership.knock, sender: BOB, isTransition: true }]);
});

describe("unread counts and heroes", () => {
  const counted = (notifications: number, highlights: number, heroes?: string[]) =>
    inRoom([], {
      unread_notifications: { notification_count: notifications, highlight_count: highlights },
      ...(heroes === undefined ? {} : { summary: { "m.heroes": heroes } }),
    });

  test("are the user's own, and news only when they differ", () => {
    const room = shared();
    const first = room.fold("join", counted(2, 1, [ALICE]), bobs);
    expect(first.writes.personal).toMatchObject([
      { userNid: 2, heroes: [ALICE], counts: { notifications: 2, highlights: 1 } },
    ]);
    expect(first.changes).toMatchObject([{ stream: ChangeStream.membership, userNid: 2 }]);
    expect(room.fold("join", counted(2, 1, [ALICE]), bobs).changes).toEqual([]);
    const second = room.fold("join", counted(0, 0), bobs);
    expect(second.writes.personal).toMatchObject([{ heroes: undefined, counts: { notifications: 0, highlights: 0 } }]);
    expect(of(room, ALICE)?.notifications).toBe(0);
  });

  test("share a batch with the membership", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), member("$alice", ALICE, "join")]));
    const joined = { ...inRoom([member("$bob", BOB, "join")]), unread_notifications: { notification_count: 1 } };
    const { writes, changes } = room.fold("join", joined, bobs);
    expect(writes.personal[0]?.batch).toBe(writes.memberships[0]?.batch);
    expect(changes.filter(({ stream }) => stream === ChangeStream.membership)).toHaveLength(1);
  });

  test("of somebody who is out are not kept", () => {
    const room = shared();
    room.fold("join", inRoom([kick("$out")]));
    expect(room.fold("join", counted(3, 0), { ...bobs, ...stale }).writes.personal).toEqual([]);
  });
});
