// What other users' streams say of a user's stay in a room.
import { describe, expect, test } from "@jest/globals";
import { ChangeStream } from "../../../src/model/change.ts";
import type { UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import { NO_STAY } from "../../../src/model/room-facts.ts";

import { seen } from "../../support/drafted-room.ts";
import { bobs, goesOn, kick, membershipOf, shared, shown, stale } from "../../support/stays.ts";
import { ALICE, BOB, CAROL, inRoom, member, message, messages } from "../../support/v2-events.ts";

const carols = { userNid: 3 as UserNid, userId: CAROL as UserId };
const invite = (eventId: string) => member(eventId, BOB, "invite", { sender: ALICE });

describe("a departure of another user", () => {
  test("acts at once", () => {
    const room = shared();
    const { changes } = room.fold("join", inRoom([kick("$out"), message("$m")]));
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
    expect(changes.filter(({ stream }) => stream === ChangeStream.membership)).toMatchObject([{ userNid: 2 }]);
    expect(membershipOf(room, BOB)?.sender).toBe(ALICE);
  });

  test("acts even when the request was sent before they came", () => {
    const room = shared();
    room.fold("join", inRoom([kick("$out")]), { ...stale, ...seen("$bob") });
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
  });

  test("that follows one that a gap hides ends before the gap", () => {
    const again = { ...kick("$again"), unsigned: { prev_content: { membership: "leave" } } };
    const room = shared();
    room.fold("join", inRoom([message("$hidden"), again], { limited: true, state: [kick("$out")] }), seen("$bob"));
    expect(shown(room)).toEqual(["leave", "$again", "$bob"]);
    const banned = shared();
    banned.fold("join", inRoom([message("$hidden"), again], { limited: true }), seen("$bob"));
    expect(shown(banned)).toEqual(["leave", "$again", "$bob"]);
  });

  test("that follows one of which nobody knows where it stands tells no place, whoever has it", () => {
    const again = { ...kick("$again"), unsigned: { prev_content: { membership: "leave" } } };
    const room = shared();
    room.fold("leave", inRoom([again], { limited: true }), bobs);
    expect(shown(room)).toEqual(["leave", "$again", undefined]);
    room.fold("join", inRoom([message("$hidden"), again]), seen("$bob"));
    room.fold("leave", inRoom([message("$hidden"), again]), bobs);
    expect(shown(room)).toEqual(["leave", "$again", undefined]);
  });

  test("that is told after a gap ends before the gap", () => {
    const room = shared();
    room.fold("join", inRoom(messages("$x"), { limited: true, state: [kick("$out")] }), seen("$bob"));
    expect(shown(room)).toEqual(["leave", "$out", "$bob"]);
  });

  test("acts though they are back since, until their own stream lets them in", () => {
    const room = shared();
    const back = [kick("$out"), message("$hidden"), member("$back", BOB, "join")];
    room.fold("join", inRoom(back));
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
    room.fold("join", inRoom(back), goesOn);
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
    expect(room.fold("join", inRoom(back)).changes).toEqual([]);
  });

  test("before a return that is known begins their stay with that", () => {
    const room = shared();
    const missed = inRoom([message("$x")], { limited: true, state: [member("$back", BOB, "join")] });
    room.fold("join", missed, goesOn);
    expect(shown(room)).toEqual(["join", "$back", "$bob"]);
    room.fold("join", inRoom([kick("$out"), message("$hidden"), member("$back", BOB, "join"), message("$x")]));
    expect(shown(room)).toEqual(["join", "$back", "$back"]);
  });

  test.each([
    ["and is told", inRoom([kick("$out"), invite("$invite")]), ["leave", "$out", "$out"]],
    [
      "and is hidden by a gap",
      inRoom([message("$x")], { limited: true, state: [invite("$invite")] }),
      ["leave", undefined, "$bob"],
    ],
  ])("acts when it was before an invite %s", (_how, section, expected) => {
    const room = shared();
    room.fold("join", section, seen("$bob"));
    expect(shown(room)).toEqual(expected);
  });

  test("acts when older events have it after their arrival", () => {
    const room = shared();
    room.fold("join", inRoom([message("$x")], { limited: true, prevBatch: "t" }));
    const page = inRoom([kick("$out"), message("$hidden")], { prevBatch: "older", after: [] });
    const { changes } = room.foldHistory(page, seen("$x"));
    expect(shown(room)).toEqual(["leave", "$out", "$out"]);
    expect(changes.map(({ stream, userNid }) => [stream, userNid])).toContainEqual([ChangeStream.membership, 2]);
  });

  test("that ends an invite is the end of no stay, wherever it stands", () => {
    const room = shared();
    room.fold("leave", inRoom([kick("$out")]), goesOn);
    room.fold("invite", { invite_state: { events: [invite("$invite")] } }, bobs);
    room.fold("join", inRoom([kick("$out"), invite("$invite"), message("$hidden"), kick("$no")]), seen("$bob"));
    expect([shown(room), membershipOf(room, BOB)?.sinceOrderKey]).toEqual([["leave", "$no", undefined], NO_STAY]);
    expect(room.fold("join", inRoom([kick("$no"), message("$more")])).writes.memberships).toEqual([]);
  });

  test("is nobody's whose devices do not use Slidecar", () => {
    const room = shared();
    room.fold("join", inRoom([member("$carol", CAROL, "leave")]));
    expect(room.memberships.size).toBe(2);
  });

  test("is no news the second time", () => {
    const room = shared();
    room.fold("join", inRoom([kick("$out")]));
    expect(room.fold("join", inRoom([kick("$out")])).changes).toEqual([]);
    expect(room.fold("leave", inRoom([kick("$out")]), { ...bobs, ...stale }).changes).toEqual([]);
  });

  test("that is told to who left acts where it stands after their arrival", () => {
    const room = shared();
    room.fold("leave", inRoom([kick("$then"), message("$hidden"), member("$gone", ALICE, "leave")]), seen("$bob"));
    expect([shown(room), shown(room, ALICE)]).toEqual([
      ["leave", "$then", "$then"],
      ["leave", "$gone", "$gone"],
    ]);
    expect(room.lastContests).toMatchObject([{ kind: "membership", userId: BOB, stored: Membership.join }]);
  });

  test("that is told to who leaves acts, wherever it stands", () => {
    const room = shared();
    const section = inRoom([member("$gone", ALICE, "leave")], { limited: true, state: [kick("$then")] });
    room.fold("leave", section, seen("$bob"));
    expect(shown(room)).toEqual(["leave", "$then", "$bob"]);
    const { join: stored } = Membership;
    expect(room.lastContests).toContainEqual(expect.objectContaining({ kind: "membership", userId: BOB, stored }));
  });

  test.each([
    ["in its timeline", inRoom([kick("$then"), message("$hidden")]), "$then"],
    ["in its state", inRoom([message("$hidden")], { limited: true, state: [kick("$then")] }), "$bob"],
  ])("that is told to who left long ago acts once somebody else has it %s", (_where, section, end) => {
    const room = shared();
    room.fold("leave", inRoom([member("$gone", ALICE, "leave")]), seen("$bob"));
    const again = inRoom([kick("$then"), member("$gone2", ALICE, "leave")]);
    room.fold("leave", again, { poll: "first", storedBefore: stale.storedBefore });
    expect(shown(room)).toEqual(["join", "$bob", "$bob"]);
    room.fold("join", section, { ...carols, ...seen("$bob") });
    expect(shown(room)).toEqual(["leave", "$then", end]);
  });
});
