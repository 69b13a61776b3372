import { describe, expect, test } from "@jest/globals";
import { ChangeFlag } from "../../../src/model/change.ts";
import type { UserId, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { DraftedRoom, seen } from "../../support/drafted-room.ts";
import { bobs, partly } from "../../support/partly-drafted-room.ts";
import {
  ALICE,
  BOB,
  CAROL,
  create,
  inRoom,
  member,
  message,
  messages,
  name,
  type V2Event,
  visibility,
} from "../../support/v2-events.ts";

const { activity, bump, columns, history, state: stateFlag } = ChangeFlag;

function whole(): DraftedRoom {
  const room = new DraftedRoom();
  room.fold("join", inRoom([create(), member("$alice", ALICE, "join")]));
  return room;
}

describe("the timeline of a room", () => {
  test("begins where the room begins, when that was sent", () => {
    const room = whole();
    expect(room.line()).toBe("create alice");
    expect([...room.chunks.values()]).toMatchObject([{ isStart: true, continues: false, attestedFor: undefined }]);
    expect([...partly("$a").chunks.values()]).toMatchObject([{ isStart: false, continues: false }]);
  });

  test("goes on with a batch that is not limited, and has a hole before one that is", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b")));
    room.fold("join", inRoom(messages("$x", "$y"), { limited: true }));
    room.fold("join", inRoom(messages("$z")));
    expect(room.line()).toBe("a b | x y z");
  });

  test("has a hole before what a first sync brings", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$x")), { ...bobs, poll: "first" });
    expect(room.line()).toBe("a | x");
  });

  test("has a hole before what somebody sees who has just come in", () => {
    const room = partly("$a");
    const carols = { userNid: 3 as UserNid, userId: CAROL as UserId };
    room.fold("join", inRoom([member("$in", CAROL, "join"), message("$b")]), carols);
    expect(room.line()).toBe("a | in b");
    room.fold("leave", inRoom([member("$out", CAROL, "leave")]), { ...carols, ...seen("$b") });
    room.fold("join", inRoom([member("$back", CAROL, "join")]), { ...carols, ...seen("$out") });
    expect(room.line()).toBe("a | in b out | back");
  });

  test("joins up with a limited batch that has known events", () => {
    const room = partly("$a", "$b");
    room.fold("join", inRoom(messages("$b", "$c"), { limited: true }));
    expect(room.line()).toBe("a b c");
  });

  test("loses a hole when a batch has the events on both sides", () => {
    const room = partly("$a", "$b");
    room.fold("join", inRoom(messages("$y", "$z"), { limited: true }));
    const { flags } = room.fold("join", inRoom(messages("$b", "$c", "$y")), bobs);
    expect([room.line(), flags]).toEqual(["a b c ~ y z", history]);
  });

  test("loses a hole when a batch follows what its stream had before it", () => {
    const room = partly("$a", "$b");
    room.fold("join", inRoom(messages("$y", "$z"), { limited: true }));
    room.fold("join", inRoom(messages("$y")), { ...bobs, ...seen("$b") });
    expect(room.line()).toBe("a b ~ y z");
  });

  test("puts a batch without known events after what its stream had before it", () => {
    const room = partly("$a", "$b");
    room.fold("join", inRoom(messages("$z"), { limited: true }));
    room.fold("join", inRoom(messages("$c")), { ...bobs, ...seen("$b") });
    expect(room.line()).toBe("a b c | z");
    room.fold("join", inRoom(messages("$y"), { limited: true }), { ...bobs, ...seen("$b") });
    room.fold("join", inRoom(messages("$x")), { ...bobs, ...seen("$unknown") });
    expect(room.line()).toBe("a b c | z | y | x");
  });

  test("puts late events between the ones that they came between", () => {
    const room = partly("$a", "$b");
    const { flags } = room.fold("join", inRoom(messages("$a", "$late", "$b")), bobs);
    expect([room.line(), flags]).toEqual(["a late b", history]);
  });

  test("keeps its order whatever later batches say", () => {
    const room = partly("$a", "$b", "$c");
    room.fold("join", inRoom(messages("$c", "$a", "$b")), bobs);
    expect(room.line()).toBe("a b c");
  });

  test("is attested for its user alone while that ignores somebody", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b")), { ...bobs, ignoresSomebody: true });
    room.fold("join", inRoom(messages("$c")), { ...bobs, ignoresSomebody: true });
    room.fold("join", inRoom(messages("$d")));
    expect(room.line()).toBe("a ~ b c ~ d");
    expect([...room.chunks.values()].map(({ attestedFor }) => attestedFor)).toEqual([undefined, 2, undefined]);
  });

  test("has a hole after a limited batch without any event", () => {
    const room = partly("$a");
    const { flags } = room.fold("join", inRoom([], { limited: true }));
    room.fold("join", inRoom(messages("$b")));
    expect([room.line(), flags]).toEqual(["a | b", history]);
    const empty = new DraftedRoom();
    empty.fold("join", inRoom([], { limited: true, state: [create()] }));
    expect(empty.chunks.size).toBe(0);
  });

  test("has an event once that is in the state before it, too", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), name("$n", "n"), message("$m")], { state: [name("$n", "n"), create()] }));
    expect(room.line()).toBe("create n m");
    expect(room.events.size).toBe(3);
  });

  test("gets events that were known as state only", () => {
    const room = partly("$a");
    room.fold("join", inRoom([], { state: [name("$n", "n")] }));
    expect(room.line()).toBe("a");
    const { writes } = room.fold("join", inRoom([name("$n", "n"), message("$b")]), bobs);
    expect([room.line(), writes.placed.length, writes.events.length]).toEqual(["a n b", 1, 1]);
  });

  test("ends for a reader who left with the departure, wherever others went on", () => {
    const room = partly("$a");
    room.fold("join", inRoom([message("$b")]), bobs);
    room.fold("join", inRoom(messages("$c", "$d"), { limited: true }));
    const { flags } = room.fold("leave", inRoom([message("$b"), member("$out", BOB, "leave")]), bobs);
    expect([room.line(), flags & activity]).toEqual(["a b out | c d", 0]);
  });
});

describe("a cut batch without known events", () => {
  /** Asked for before anything was stored. */
  const stale = { ...bobs, storedBefore: 0 as StreamPosition };

  test("goes to the end when it was asked for after that was stored", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$x"), { limited: true }), { ...bobs, storedBefore: room.position });
    expect(room.line()).toBe("a | x");
  });

  test.each([
    ["a limited one", { limited: true }, {}],
    ["one of a first sync", {}, { poll: "first" }],
    ["one of which nobody knows what its stream had before", {}, {}],
  ] as const)("has no place when nothing tells which is newer: %s", (_, more, source) => {
    const room = partly("$a");
    const { flags } = room.fold("join", inRoom(messages("$x", "$y"), more), { ...stale, ...source });
    expect([room.line(), flags & activity]).toEqual(["a", 0]);
    // What is told next may follow what has no place.
    room.fold("join", inRoom(messages("$z")), { ...bobs, ...seen("$y") });
    expect(room.line()).toBe("a | z");
    room.fold("join", inRoom(messages("$a", "$x", "$y", "$z"), { limited: true }), { ...bobs, poll: "asked" });
    expect(room.line()).toBe("a x y ~ z");
  });

  test.each([
    [
      "of one who ignores others, which may be in a hole before the end",
      { ignoresSomebody: true },
      "a | c",
      ["$a", "$x"],
    ],
    ["of a first sync, which may have it by the room's graph", { poll: "first" }, "a c", ["$a", "$x", "$c"]],
  ] as const)("has no place though it has a known event, when it is %s", (_, source, line, all) => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$c"), { limited: line !== "a c" }));
    room.fold("join", inRoom(messages("$a", "$x"), { limited: true }), { ...stale, ...source });
    expect(room.line()).toBe(line);
    expect(room.lastContests).not.toEqual([]);
    room.fold("join", inRoom(messages(...all), { limited: true }), bobs);
    expect(room.line()).toBe(line === "a c" ? "a x c" : "a x | c");
  });

  test("has no place when the room ends with what its user was not shown, who ignores the sender", () => {
    const spam = message("$spam", { sender: "@mallory:test" });
    const section = inRoom(messages("$x", "$y"), { limited: true });
    const lineFor = (ignored: string, last: V2Event) => {
      const room = partly("$a");
      room.fold("join", inRoom([last]), seen("$a"));
      room.fold("join", section, { ...bobs, ignoresSomebody: true, ignored: new Set([ignored]), poll: "first" });
      return room.line();
    };
    expect(lineFor("@mallory:test", spam)).toBe("a spam");
    expect(lineFor(BOB, message("$spam", { sender: BOB }))).toBe("a spam | x y");
    expect(lineFor("@other:test", spam)).toBe("a spam | x y");
    expect(lineFor("@mallory:test", { ...name("$spam", "spam"), sender: "@mallory:test" })).toBe("a spam | x y");
  });

  test("goes on before everybody's eyes for a stream that had the end of the room", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$x"), { limited: true }), stale);
    room.fold("join", inRoom(messages("$b")), seen("$a"));
    expect(room.line()).toBe("a ~ b");
  });

  test("has no place when its user has left, whenever it was asked for", () => {
    const room = partly("$a");
    room.fold("leave", inRoom([message("$x"), member("$out", BOB, "leave")]), bobs);
    expect(room.line()).toBe("a");
    room.fold("join", inRoom([member("$out", BOB, "leave"), message("$y")]), seen("$a"));
    expect(room.line()).toBe("a out y");
  });

  test("has no place before an arrival that is known, where others may have what stands between", () => {
    const room = partly("$a");
    room.fold("join", inRoom([message("$b"), member("$in", CAROL, "join")]));
    const carols = { userNid: 3 as UserNid, userId: CAROL as UserId, poll: "first" as const };
    room.fold("join", inRoom([visibility("$old", "joined"), member("$in", CAROL, "join")], { limited: true }), carols);
    expect(room.line()).toBe("a b in");
  });

  test("has no place before an arrival either, where a later event has one", () => {
    const room = partly("$a", "$b");
    const carols = { userNid: 3 as UserNid, userId: CAROL as UserId, poll: "first" as const };
    room.fold("join", inRoom([visibility("$old", "joined"), member("$in", CAROL, "join"), message("$b")]), carols);
    expect(room.line().split(" ")).not.toContain("old");
  });

  test("has no place side by side that were seen by somebody who never was in the room", () => {
    const room = partly("$a");
    room.fold("join", inRoom([message("$b"), member("$ban", CAROL, "ban", { sender: BOB })]));
    const carols = { userNid: 3 as UserNid, userId: CAROL as UserId, poll: "first" as const };
    room.fold("leave", inRoom([visibility("$old", "shared"), member("$ban", CAROL, "ban", { sender: BOB })]), carols);
    expect(room.line()).toBe("a b ban");
  });

  test("stands where the known events before an arrival say, which have a place", () => {
    const room = partly("$a");
    room.fold("join", inRoom([visibility("$hidden", "joined"), message("$b")]), seen("$a"));
    const carols = { userNid: 3 as UserNid, userId: CAROL as UserId, storedBefore: 0 as StreamPosition };
    room.fold("join", inRoom([message("$b"), member("$in", CAROL, "join")]), carols);
    expect(room.line()).toBe("a hidden b | in");
    const danas = { ...carols, userNid: 4 as UserNid, userId: "@dana:test" as UserId };
    room.fold("join", inRoom([message("$b"), member("$later", danas.userId, "join")]), danas);
    expect(room.line()).toBe("a hidden b | in");
  });
});

describe("a stream that began with a first sync in another order goes on after all that was there", () => {
  /** The room's graph has the late event before others, to which it came last. */
  function withLate(firstSync: readonly string[]) {
    const room = partly("$b");
    room.fold("join", inRoom(messages("$c")));
    room.fold("join", inRoom(messages("$late")));
    const toldUpTo = room.position;
    const section = inRoom(messages(...firstSync), { limited: true });
    room.fold("join", section, { poll: "first", deviceNid: 2 });
    expect(room.line()).toBe("b c late");
    return { room, its: { deviceNid: 2, toldUpTo, ...seen(firstSync.at(-1) ?? "") } };
  }

  test.each([
    ["had the late event", ["$late", "$b", "$c"]],
    ["had it not", ["$b", "$c"]],
  ])("when that %s", (_, firstSync) => {
    const { room, its } = withLate(firstSync);
    room.fold("join", inRoom(messages("$d")), its);
    expect(room.line()).toBe("b c late d");
  });

  test("also where the late event follows a hole", () => {
    const room = partly("$b");
    room.fold("join", inRoom(messages("$late"), { limited: true }), bobs);
    const its = { deviceNid: 2, toldUpTo: room.position, ...seen("$b") };
    room.fold("join", inRoom(messages("$d")), its);
    expect(room.line()).toBe("b | late d");
  });

  test("when the late event came while the homeserver was asked, and was there", () => {
    const { room, its } = withLate(["$late", "$b", "$c"]);
    room.fold("join", inRoom(messages("$d")), { ...its, toldUpTo: (its.toldUpTo - 1) as StreamPosition });
    expect(room.line()).toBe("b c late d");
  });

  test("and not after what others brought since it was asked", () => {
    const room = partly("$b");
    const toldUpTo = room.position;
    room.fold("join", inRoom(messages("$d")), { ...bobs, ignoresSomebody: true });
    room.fold("join", inRoom(messages("$c")), { toldUpTo, ...seen("$b") });
    expect(room.line().replaceAll(" ~", "")).toBe("b c d");
  });
});

describe("tokens", () => {
  test("stand before the first event of a batch, and the first one stays", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b", "$c"), { prevBatch: "p1" }));
    room.fold("join", inRoom(messages("$b", "$c"), { prevBatch: "p2" }), bobs);
    room.fold("join", inRoom([], { prevBatch: "p3" }));
    const [, b] = room.timeline();
    expect([...room.tokens]).toEqual([[b?.orderKey, "p1"]]);
  });

  test("of transactions belong to the device that sent the event", () => {
    const room = partly("$a");
    const sent = message("$b", { unsigned: { transaction_id: "t1" } });
    room.fold("join", inRoom([message("$b")]), bobs);
    const { writes } = room.fold("join", inRoom([sent, message("$c")]), { deviceNid: 7 });
    const { nid } = room.events.get("$b")!;
    expect(writes.transactionIds).toEqual([{ nid, deviceNid: 7, transactionId: "t1" }]);
  });

  test("of transactions are known to be none for what a user has just sent and their device's stream brings without", () => {
    const room = partly("$a");
    const nowUs = 2_000_000_000;
    const just = { origin_server_ts: nowUs / 1000 - 60_000 };
    const long = { origin_server_ts: nowUs / 1000 - 3_600_000 };
    const sent = [
      message("$b", just),
      { ...member("$c", ALICE, "join"), ...just },
      message("$d", { sender: BOB, ...just }),
    ];
    const { writes } = room.fold("join", inRoom([...sent, message("$e", long)]), { nowUs });
    const { nid } = room.events.get("$b")!;
    expect(writes.transactionIds).toEqual([{ nid, deviceNid: 1, transactionId: undefined }]);
  });
});

describe("the visibility of an event", () => {
  const visibilities = (room: DraftedRoom) =>
    Object.fromEntries(room.timeline().map(({ eventId, visibility }) => [eventId, visibility]));

  test("is what was in force before it", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), message("$a"), visibility("$v", "joined"), message("$b")]));
    room.fold("join", inRoom([message("$c"), visibility("$w", "invited"), message("$d")]));
    expect(visibilities(room)).toEqual({
      $create: Visibility.shared,
      $a: Visibility.shared,
      $v: Visibility.shared,
      $b: Visibility.joined,
      $c: Visibility.joined,
      $w: Visibility.joined,
      $d: Visibility.invited,
    });
  });

  test("is what the state before the timeline says", () => {
    const room = new DraftedRoom();
    const before = [create(), visibility("$v", "world_readable")];
    room.fold("join", inRoom(messages("$a"), { limited: true, state: before }));
    room.fold("join", inRoom(messages("$b"), { limited: true, state: [visibility("$w", "joined")] }));
    expect(visibilities(room)).toEqual({ $a: Visibility.worldReadable, $b: Visibility.joined });
  });

  test("is what state_after says of a room that is learnt whole, unless it changed within the timeline", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom(messages("$a"), { limited: true, after: [create(), visibility("$v", "joined")] }));
    expect(visibilities(room)).toEqual({ $a: Visibility.joined });
    const changed = new DraftedRoom();
    const timeline = [message("$a"), visibility("$v", "joined"), message("$b")];
    changed.fold("join", inRoom(timeline, { limited: true, after: [create(), visibility("$v", "joined")] }));
    expect(visibilities(changed)).toMatchObject({ $a: Visibility.unknown, $b: Visibility.joined });
    const made = new DraftedRoom();
    const begin = [create(), message("$a"), visibility("$v", "joined")];
    made.fold("join", inRoom(begin, { after: [create(), visibility("$v", "joined")] }));
    expect(visibilities(made)).toMatchObject({ $create: Visibility.shared, $a: Visibility.shared });
  });

  test("is not known after a gap in which it changed", () => {
    const room = whole();
    room.fold("join", inRoom(messages("$a"), { limited: true, after: [visibility("$v", "joined")] }));
    room.fold("join", inRoom(messages("$b"), { after: [visibility("$v", "joined")] }));
    const both = [message("$c"), visibility("$w", "shared"), message("$d")];
    room.fold("join", inRoom(both, { limited: true, after: [visibility("$w", "shared")] }));
    room.fold("join", inRoom([message("$e"), visibility("$x", "joined")], { after: [visibility("$x", "joined")] }));
    expect(visibilities(room)).toMatchObject({
      $a: Visibility.unknown,
      $b: Visibility.joined,
      $c: Visibility.unknown,
      $d: Visibility.shared,
      $e: Visibility.shared,
    });
  });
});

describe("the order of rooms", () => {
  const at = (eventId: string, ms: number) => message(eventId, { origin_server_ts: ms });
  const reaction = (eventId: string, ms: number) => message(eventId, { type: "m.reaction", origin_server_ts: ms });

  test("is by time for a room that is learnt whole, and by position for one that goes on", () => {
    const room = new DraftedRoom();
    const learnt = room.fold("join", inRoom([create(), at("$a", 5_000), reaction("$b", 6_000)]));
    expect([room.activity, room.bump]).toEqual([6_000_000, 5_000_000]);
    expect(learnt.flags).toBe(columns | stateFlag | history);
    const { flags } = room.fold("join", inRoom([at("$c", 1)]));
    expect([room.activity, room.bump, flags]).toEqual([room.position, room.position, activity | bump]);
  });

  test("is not later than now, nor before all time", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), at("$a", Number.MAX_SAFE_INTEGER)]), { nowUs: 7_000 });
    expect(room.activity).toBe(7_000);
    const old = new DraftedRoom();
    old.fold("join", inRoom([create(), at("$a", -5)]));
    expect(old.activity).toBe(0);
  });

  test("has for the bump stamp of a room without such an event the time of its oldest one", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([reaction("$a", 3_000), reaction("$b", 4_000)], { limited: true, state: [create()] }));
    expect([room.activity, room.bump]).toEqual([4_000_000, 3_000_000]);
  });

  test("does not change by a message that is no bump, as far as the bump stamp goes", () => {
    const room = whole();
    const before = room.bump;
    const { flags } = room.fold("join", inRoom([reaction("$r", 1)]));
    expect([room.bump, flags]).toEqual([before, activity]);
  });

  test("is by time for what is made up for, and never goes back", () => {
    const room = partly("$a");
    room.fold("join", inRoom([at("$b", 5_000)], { limited: true }), { poll: "catch-up" });
    expect([room.activity, room.bump]).toEqual([5_000_000, 5_000_000]);
    const { flags } = room.fold("join", inRoom([at("$c", 4_000)]), { ...bobs, poll: "catch-up" });
    expect([room.activity, flags]).toEqual([5_000_000, columns]);
    room.fold("join", inRoom([at("$d", 6_000)]), { ...bobs, poll: "first" });
    expect(room.activity).toBe(6_000_000);
  });

  test("does not change by late events", () => {
    const room = partly("$a", "$b");
    const before = room.activity;
    room.fold("join", inRoom([message("$a"), at("$late", 9_000), message("$b")]), bobs);
    expect(room.activity).toBe(before);
  });
});

describe("several sections of one room in one transaction", () => {
  test("build on each other", () => {
    const room = partly("$a");
    const stale = { storedBefore: 0 as StreamPosition };
    room.foldAll([
      ["join", inRoom(messages("$b", "$c")), {}],
      ["join", inRoom(messages("$b", "$between", "$c", "$d")), { ...bobs, ...stale }],
      ["join", inRoom([message("$d"), name("$n", "n")]), {}],
      ["join", inRoom([message("$first"), message("$b")], { limited: true }), { ...bobs, ...stale }],
    ]);
    expect(room.line()).toBe("a first b between c d n");
    expect(room.row.name).toBe("n");
  });

  test("close a hole that one of them made", () => {
    const room = partly("$a");
    room.foldAll([
      ["join", inRoom(messages("$z"), { limited: true }), {}],
      ["join", inRoom(messages("$a", "$b", "$z")), bobs],
      ["join", inRoom(messages("$a", "$z")), bobs],
    ]);
    expect(room.line()).toBe("a b ~ z");
  });

  test("never hand out an order key twice", () => {
    const room = partly("$a");
    room.foldAll([
      ["join", inRoom(messages("$c")), {}],
      ["join", inRoom(messages("$b", "$c")), bobs],
    ]);
    expect(room.line()).toBe("a b c");
  });
});
