import { describe, expect, test } from "@jest/globals";
import { ChangeFlag } from "../../../src/model/change.ts";
import type { UserId, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { DraftedRoom } from "../../support/drafted-room.ts";
import {
  ALICE,
  BOB,
  CAROL,
  create,
  inRoom,
  member,
  message,
  name,
  state,
  visibility,
} from "../../support/v2-events.ts";

const bobs = { userNid: 2 as UserNid, userId: BOB as UserId };

/** A room that Alice made and named. */
function named(text = "old"): DraftedRoom {
  const room = new DraftedRoom();
  room.fold("join", inRoom([create(), member("$alice", ALICE, "join"), name("$old", text)]));
  return room;
}

/** A request that was sent before anything was stored. */
const stale = { storedBefore: 0 as StreamPosition };

describe("state of a room", () => {
  test("is what its first section says, in the timeline after the state before it", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([name("$new", "new")], { state: [create(), name("$old", "old")] }));
    expect([room.current("m.room.name"), room.row.name]).toEqual(["$new", "new"]);
  });

  test("is what state_after says, whatever the timeline holds", () => {
    const room = named();
    room.fold("join", inRoom([name("$b", "b"), name("$c", "c")], { after: [name("$b", "b")] }));
    expect([room.current("m.room.name"), room.row.name]).toEqual(["$b", "b"]);
    room.fold("join", inRoom([name("$d", "d")], { after: [] }));
    expect([room.current("m.room.name"), room.row.name]).toEqual(["$b", "b"]);
  });

  test("goes on with what a later request brings", () => {
    const room = named();
    room.fold("join", inRoom([name("$new", "new")]));
    expect(room.current("m.room.name")).toBe("$new");
    room.fold("join", inRoom([], { state: [name("$newer", "newer")] }));
    expect(room.current("m.room.name")).toBe("$newer");
  });

  test("may go back to an older event when a later request says so", () => {
    const room = named();
    room.fold("join", inRoom([name("$new", "new")]));
    room.fold("join", inRoom([], { after: [name("$old", "old")] }));
    expect([room.current("m.room.name"), room.row.name]).toEqual(["$old", "old"]);
  });

  test("is not taken back by the echo of an older one in a slower stream", () => {
    const room = named();
    room.fold("join", inRoom([name("$new", "new")]));
    const { flags, writes } = room.fold("join", inRoom([name("$old", "old")]), { ...bobs, ...stale });
    expect([room.current("m.room.name"), room.row.name, flags, writes.state]).toEqual(["$new", "new", 0, []]);
  });

  test("is not taken back by an older event that was not known", () => {
    const room = named();
    room.fold("join", inRoom([name("$new", "new")], { limited: true }));
    room.fold("join", inRoom([name("$between", "between")]), { ...bobs, ...stale });
    expect([room.current("m.room.name"), room.row.name]).toEqual(["$new", "new"]);
  });

  test("goes on with a response that was on its way when the current value came, and has that too", () => {
    const room = named();
    room.fold("join", inRoom([name("$new", "new")]));
    room.fold("join", inRoom([name("$new", "new"), name("$newer", "newer")]), { ...bobs, ...stale });
    expect(room.current("m.room.name")).toBe("$newer");
    room.fold("join", inRoom([name("$newer", "newer")], { after: [name("$last", "last")] }), { ...bobs, ...stale });
    expect(room.current("m.room.name")).toBe("$last");
  });

  test("that is told again is no news, nor is one that came back within a section", () => {
    const room = named();
    expect(room.fold("join", inRoom([], { state: [name("$old", "old")] })).flags).toBe(0);
    const { writes, flags } = room.fold("join", inRoom([message("$m")], { state: [member("$alice", ALICE, "join")] }));
    expect([writes.state, flags & ChangeFlag.state]).toEqual([[], 0]);
    const back = room.fold("join", inRoom([name("$old", "old")], { state: [name("$older", "older")] }));
    expect([back.writes.state, back.flags & (ChangeFlag.state | ChangeFlag.columns)]).toEqual([[], 0]);
    expect(room.row.name).toBe("old");
  });

  test("is logged with what it was before, but for the first", () => {
    const room = new DraftedRoom();
    const first = room.fold("join", inRoom([create(), name("$a", "a")]));
    expect(first.writes.state.map(({ isBaseline }) => isBaseline)).toEqual([true, true]);
    const { writes } = room.fold("join", inRoom([name("$b", "b"), name("$c", "c")]));
    const nid = (eventId: string) => room.events.get(eventId)?.nid;
    expect(writes.state).toMatchObject([{ isBaseline: false, nid: nid("$c"), previous: nid("$a") }]);
  });
});

describe("what restricts acts at once", () => {
  test("a departure that the store did not know", () => {
    const room = named();
    room.fold("join", inRoom([member("$joined", CAROL, "join")]));
    room.fold("join", inRoom([member("$kicked", CAROL, "leave", { sender: ALICE })]), { ...bobs, ...stale });
    expect(room.current("m.room.member", CAROL)).toBe("$kicked");
    room.fold("join", inRoom([member("$joined", CAROL, "join")]), { ...bobs, ...stale });
    expect(room.current("m.room.member", CAROL)).toBe("$kicked");
  });

  test("but not a departure that the same response shows to be over", () => {
    const room = named();
    room.fold("join", inRoom([member("$back", CAROL, "join")]));
    const past = [member("$left", CAROL, "leave"), member("$back", CAROL, "join")];
    const { writes } = room.fold("join", inRoom(past), { ...bobs, ...stale });
    expect([room.current("m.room.member", CAROL), writes.state]).toEqual(["$back", []]);
  });

  test("a stricter visibility, but no looser one", () => {
    const room = named();
    room.fold("join", inRoom([visibility("$invited", "invited")]));
    room.fold("join", inRoom([visibility("$shared", "shared")]), { ...bobs, ...stale });
    expect(room.row.historyVisibility).toBe(Visibility.invited);
    room.fold("join", inRoom([visibility("$joined", "joined")]), { ...bobs, ...stale });
    expect(room.row.historyVisibility).toBe(Visibility.joined);
  });

  test("but not what was known", () => {
    const room = named();
    room.fold("join", inRoom([visibility("$joined", "joined"), visibility("$shared", "shared")]));
    room.fold("join", inRoom([visibility("$joined", "joined")]), { ...bobs, ...stale });
    expect(room.row.historyVisibility).toBe(Visibility.shared);
  });
});

describe("the section of a room that its user left", () => {
  test("does not change what others see, but for the departure itself", () => {
    const room = named();
    room.fold("join", inRoom([member("$bob", BOB, "join")]), bobs);
    room.fold("join", inRoom([name("$now", "now")]));
    const left = [name("$then", "then"), member("$away", BOB, "leave")];
    room.fold("leave", inRoom(left, { state: [member("$carol", CAROL, "ban", { sender: ALICE })] }), bobs);
    expect([room.row.name, room.current("m.room.name")]).toEqual(["now", "$now"]);
    expect(room.current("m.room.member", BOB)).toBe("$away");
    // Of Carol nothing was known.
    expect(room.current("m.room.member", CAROL)).toBe("$carol");
  });

  test("does not make a room whole, and what is whole later stands against it", () => {
    const room = new DraftedRoom();
    room.fold("leave", inRoom([member("$away", BOB, "leave")], { state: [create(), name("$then", "then")] }), bobs);
    expect([room.row.isComplete, room.row.name]).toEqual([false, "then"]);
    room.fold("join", inRoom([], { state: [create(), name("$now", "now")] }), stale);
    expect([room.row.isComplete, room.row.name]).toEqual([true, "now"]);
  });
});

describe("a room", () => {
  test("is not whole without m.room.create", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([message("$m")], { state: [name("$n", "n")] }));
    expect(room.row.isComplete).toBe(false);
    room.fold("join", inRoom([], { state: [create()] }));
    expect(room.row.isComplete).toBe(true);
  });

  test("has its columns from its state", () => {
    const room = new DraftedRoom();
    const events = [
      state("$create", "m.room.create", { type: "m.space", room_version: "12" }),
      name("$name", "Name"),
      state("$avatar", "m.room.avatar", { url: "mxc://a/b" }),
      state("$tombstone", "m.room.tombstone", { replacement_room: "!new" }),
    ];
    const summary = { "m.joined_member_count": 3, "m.invited_member_count": 1 };
    room.fold("join", inRoom(events, { summary }));
    expect(room.row).toMatchObject({
      roomType: "m.space",
      roomVersion: "12",
      name: "Name",
      avatar: "mxc://a/b",
      tombstoneSuccessor: "!new",
      joinedCount: 3,
      invitedCount: 1,
    });
    const empty = [name("$noname", ""), state("$noavatar", "m.room.avatar", { url: 5 })];
    room.fold("join", inRoom([...empty, state("$else", "m.room.name", { name: "x" }, { state_key: "x" })]));
    expect([room.row.name, room.row.avatar]).toEqual([undefined, undefined]);
    room.fold("join", inRoom([name("$nul", "a\0b")]));
    expect(room.row.name).toBeUndefined();
  });

  test("that was encrypted once is so for ever, wherever that was said and whatever it said", () => {
    const encryptions = [{ algorithm: "m.megolm.v1.aes-sha2" }, {}, "text", null];
    for (const content of encryptions) {
      const event = { ...state("$e", "m.room.encryption"), content: content as object };
      for (const parts of [inRoom([event]), inRoom([], { state: [event] }), inRoom([], { after: [event] })]) {
        const room = named();
        room.fold("join", parts);
        expect([room.row.isEncrypted, room.current("m.room.encryption"), room.row.quarantined]).toEqual([
          true,
          "$e",
          undefined,
        ]);
        room.fold("join", inRoom([message("$m")]));
        expect(room.row.isEncrypted).toBe(true);
      }
    }
  });

  test("knows where in its timeline it became encrypted, unless it was when it was first told", () => {
    const encryption = state("$e", "m.room.encryption");
    const placeOf = (room: DraftedRoom, id: string) => room.timeline().find((event) => event.eventId === id)!.orderKey;
    const later = named();
    later.fold("join", inRoom([message("$m"), encryption, message("$n")]));
    expect(later.row.encryptionOrderKey).toBe(placeOf(later, "$e"));
    later.fold("join", inRoom([state("$again", "m.room.encryption")]));
    expect(later.row.encryptionOrderKey).toBe(placeOf(later, "$e"));
    const inGap = named();
    inGap.fold("join", inRoom([message("$m")], { limited: true, state: [encryption] }));
    expect(inGap.row.encryptionOrderKey).toBe(placeOf(inGap, "$m"));
    const unseen = named();
    unseen.fold("join", inRoom([], { state: [encryption] }));
    expect(unseen.row.encryptionOrderKey).toBeGreaterThan(Number(placeOf(unseen, "$old")));
    const always = new DraftedRoom();
    always.fold("join", inRoom([create(), encryption, message("$m")]));
    expect([always.row.isEncrypted, always.row.encryptionOrderKey]).toEqual([true, undefined]);
  });

  test("with encryption that cannot be stored is encrypted and set aside", () => {
    const room = named();
    room.fold("join", inRoom([], { state: [{ ...state("$e", "m.room.encryption"), event_id: "none" }] }));
    expect([room.row.isEncrypted, room.row.quarantined]).toEqual([
      true,
      "m.room.encryption: event_id is not an event id",
    ]);
  });

  test("is set aside for state that cannot be stored, until it comes whole", () => {
    const room = named();
    const { flags } = room.fold("join", inRoom([{ ...name("$x", "x"), sender: "nobody" }]));
    expect([room.row.quarantined, flags]).toEqual(["m.room.name: sender is not a user id", ChangeFlag.columns]);
    room.fold("join", inRoom([name("$y", "y")]));
    expect(room.row.quarantined).toBeDefined();
    room.fold("join", inRoom([], { limited: true, state: [create(), name("$z", "z")] }), { ...bobs, ...stale });
    expect([room.row.quarantined, room.row.name]).toEqual([undefined, "z"]);
  });

  test("is not set aside for a message that cannot be stored", () => {
    const room = named();
    const { flags } = room.fold("join", inRoom([{ ...message("$x"), sender: "nobody" }]));
    expect([room.row.quarantined, flags]).toEqual([undefined, 0]);
  });
});

test("state of a room that its user left is of then, though the timeline beside it has newer", () => {
  const room = named();
  room.fold("join", inRoom([name("$new", "new")]));
  const then = { ...inRoom([name("$new", "new")]), state_after: { events: [name("$old", "old")] } };
  room.fold("leave", then, bobs);
  expect(room.row.name).toBe("new");
});

test("a room may have more state than a call takes arguments", () => {
  const room = new DraftedRoom();
  const members = Array.from({ length: 150_000 }, (_, n) => member(`$m${n}`, `@u${n}:test`, "join"));
  room.fold("join", inRoom([], { state: [create(), ...members] }));
  expect(room.state.size).toBe(150_001);
});
