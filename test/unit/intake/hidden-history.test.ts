// What a stream lacks because its user was not in the room, or because of how its homeserver tells state.
import { describe, expect, test } from "@jest/globals";
import type { UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { DraftedRoom, seen } from "../../support/drafted-room.ts";
import { ALICE, BOB, create, inRoom, member, message, messages, visibility } from "../../support/v2-events.ts";

const bobs = { userNid: 2 as UserNid, userId: BOB as UserId };

/** Alice's room with a visibility, of which her stream brought all up to a message. */
function kept(value: string): DraftedRoom {
  const room = new DraftedRoom();
  const begin = [create(), member("$alice", ALICE, "join"), visibility("$v", value)];
  room.fold("join", inRoom([...begin, member("$bob", BOB, "join"), message("$a")]));
  room.fold("join", inRoom([message("$a")], { state: begin }), bobs);
  room.fold("leave", inRoom([member("$out", BOB, "leave")]), bobs);
  room.fold("join", inRoom([member("$out", BOB, "leave"), message("$missed")]));
  return room;
}

const back = [message("$a"), member("$out", BOB, "leave"), member("$back", BOB, "join"), message("$b")];

describe("the stream of a user who was away", () => {
  test.each(["joined", "invited"])("has nothing of what was said meanwhile before their return (%s)", (value) => {
    const room = kept(value);
    room.fold("join", inRoom(back, { limited: true }), bobs);
    expect(room.line()).toBe("create alice v bob a out missed | back b");
    // Whoever was there knows that nothing is missing.
    room.fold("join", inRoom([message("$missed"), ...back.slice(2)]));
    expect(room.line()).toBe("create alice v bob a out missed ~ back b");
  });

  test.each(["shared", "world_readable"])("is told what was said, and shows what stands where (%s)", (value) => {
    const room = kept(value);
    room.fold("join", inRoom([message("$out2"), ...back.slice(2)], { limited: true }), bobs);
    expect(room.line()).toBe("create alice v bob a out missed | out2 back b");
  });

  test("has nothing before their return that shows neighbours, though a change of visibility stands between", () => {
    const room = kept("shared");
    const changed = [...back.slice(0, 2), visibility("$v2", "joined"), ...back.slice(2)];
    room.fold("join", inRoom(changed, { limited: true }), bobs);
    expect(room.line()).toBe("create alice v bob a out missed | back b");
    expect(room.events.get("$v2")?.orderKey).toBeUndefined();
  });

  test("stands where nothing was known before it, for them alone, and others find their place around it", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), member("$alice", ALICE, "join"), visibility("$v", "shared")]));
    const bobSees = [message("$a"), visibility("$v2", "joined"), member("$bob", BOB, "join")];
    room.fold("join", inRoom(bobSees, { limited: true, state: [create()] }), bobs);
    expect(room.line()).toBe("create alice v | a v2 bob");
    expect([...room.chunks.values()].map(({ attestedFor }) => attestedFor)).toEqual([undefined, 2]);
    // What Bob was not to see stands before his arrival, though it comes after it.
    room.fold("join", inRoom([message("$a"), visibility("$v2", "joined"), message("$secret")]));
    expect(room.line().indexOf("secret")).toBeLessThan(room.line().indexOf("bob"));
  });

  test("is not taken for whole before an arrival that was told of before", () => {
    const room = new DraftedRoom();
    const begin = [create(), member("$alice", ALICE, "join"), visibility("$v", "joined")];
    room.fold("join", inRoom([...begin, message("$a")]));
    const arrival = inRoom([visibility("$v", "joined"), member("$bob", BOB, "join")], { limited: true });
    room.fold("join", arrival, { ...bobs, storedBefore: 0 as StreamPosition });
    room.fold("join", inRoom([message("$hidden")]), seen("$a"));
    expect(room.line()).toBe("create alice v a ~ hidden");
    room.fold("join", arrival, { ...bobs, poll: "asked" });
    expect(room.line()).toBe("create alice v a ~ hidden | bob");
  });

  test("is whole from the start of the room on for who made it", () => {
    const room = new DraftedRoom();
    const begin = [create(), member("$alice", ALICE, "join"), visibility("$v", "joined"), message("$a")];
    room.fold("join", inRoom(begin, { limited: true }));
    expect(room.line()).toBe("create alice v a");
  });

  test("is whole for who only changed their name meanwhile", () => {
    const room = kept("joined");
    room.fold("join", inRoom([message("$b"), member("$renamed", ALICE, "join"), message("$c")]));
    expect(room.line()).toBe("create alice v bob a out missed b renamed c");
  });

  test("shows nothing of a room in which they were no more than invited", () => {
    const room = kept("invited");
    const invited = [member("$invited", BOB, "invite", { sender: ALICE }), member("$no", BOB, "leave")];
    room.fold("leave", inRoom(invited, { state: [visibility("$v", "invited")] }), bobs);
    expect(room.line()).toBe("create alice v bob a out missed");
  });
});

describe("history visibility before a change of it", () => {
  const changed = (unsigned: object) => ({ ...visibility("$v2", "shared"), unsigned });

  test("is what the change replaced, where neither state nor store tells it", () => {
    const room = new DraftedRoom();
    const replacing = changed({ prev_content: { history_visibility: "joined" }, replaces_state: "$v" });
    room.fold("join", inRoom([message("$a"), replacing, message("$b")], { limited: true, state: [create()] }));
    expect(["$a", "$b"].map((id) => room.events.get(id)?.visibility)).toEqual([Visibility.joined, Visibility.shared]);
  });

  test("is what the change replaced, where a gap hid that", () => {
    const room = kept("shared");
    const replacing = changed({ prev_content: { history_visibility: "joined" } });
    room.fold("join", inRoom([message("$x"), replacing], { limited: true }));
    expect(room.events.get("$x")?.visibility).toBe(Visibility.joined);
  });

  test.each([{}, { prev_content: null }, { prev_content: [] }])("is as before where the change says %j", (unsigned) => {
    const room = kept("invited");
    room.fold("join", inRoom([message("$x"), changed(unsigned)]));
    expect(room.events.get("$x")?.visibility).toBe(Visibility.invited);
  });

  test("is not known where a gap hides the change, and only the state after it has it", () => {
    const room = kept("shared");
    room.fold("join", inRoom([message("$x")], { limited: true, after: [visibility("$v2", "joined")] }));
    expect(room.events.get("$x")?.visibility).toBe(Visibility.unknown);
  });
});

describe("a joined room's section without any event", () => {
  const bare = { account_data: { events: [{ type: "m.tag", content: { tags: {} } }] } };

  test("is no return of who left, be it asked for long after", () => {
    const room = kept("shared");
    room.fold("join", bare, bobs);
    expect(room.memberships.get(BOB as UserId)?.membership).toBe(Membership.leave);
  });

  test("is no arrival of who was never in", () => {
    const room = new DraftedRoom();
    room.fold("join", bare, bobs);
    expect(room.memberships.get(BOB as UserId)).toBeUndefined();
    room.fold("invite", { invite_state: { events: [] } }, bobs);
    room.fold("join", bare, bobs);
    expect(room.memberships.get(BOB as UserId)?.membership).toBe(Membership.invite);
  });

  test("does not end the stay of who is in", () => {
    const room = kept("shared");
    room.fold("join", inRoom(messages("$c")));
    room.fold("join", bare);
    expect(room.memberships.get(ALICE as UserId)?.membership).toBe(Membership.join);
  });
});
