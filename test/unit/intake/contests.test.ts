import { describe, expect, test } from "@jest/globals";
import type { OpenQuestion } from "../../../src/intake/ingest/contest.ts";
import { foldSection } from "../../../src/intake/ingest/fold-section.ts";
import type { Source } from "../../../src/intake/ingest/source.ts";
import { parseSection } from "../../../src/intake/response/parsed-section.ts";
import { emptySection, type SectionKind } from "../../../src/intake/response/room-section.ts";
import type { RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { DraftedRoom, ROOM, seen } from "../../support/drafted-room.ts";
import {
  ALICE,
  BOB,
  CAROL,
  create,
  inRoom,
  member,
  message,
  name,
  type V2Event,
  visibility,
} from "../../support/v2-events.ts";

const bobs = { userNid: 2 as UserNid, userId: BOB as UserId };
const DANA = "@dana:test";

/** A request that was sent before anything was stored. */
const STALE = { storedBefore: 0 as StreamPosition, ...seen("$old") };

/** Alice's room with Bob and Carol in it. */
function stored(more: readonly V2Event[] = []): DraftedRoom {
  const room = new DraftedRoom();
  const members = [ALICE, BOB, CAROL].map((userId) => member(`$${userId}`, userId, "join"));
  room.fold("join", inRoom([create(), ...members, name("$old", "old")]));
  room.fold("join", inRoom([member("$bob", BOB, "join")]), bobs);
  if (more.length > 0) room.fold("join", inRoom(more));
  return room;
}

const raws = (events: readonly V2Event[]) => events.map((event) => Buffer.from(JSON.stringify(event)));

/** What a section of Bob's stream leaves open. */
function contestsOf(
  room: DraftedRoom,
  timeline: readonly V2Event[],
  more: Partial<Source> & {
    readonly kind?: SectionKind;
    readonly after?: readonly V2Event[];
    readonly limited?: boolean;
  } = {},
): readonly OpenQuestion[] {
  const { kind = "join", after, limited = false, ...source } = more;
  const section = parseSection(
    {
      ...emptySection(kind, ROOM as RoomId),
      timeline: raws(timeline),
      stateAfter: after && raws(after),
      limited,
      stripped: kind === "invite" ? [Buffer.from("{}")] : [],
    },
    () => {},
  );
  const draft = room.draft();
  const whole: Source = {
    ...bobs,
    deviceNid: 2,
    ignoresSomebody: false,
    poll: "live",
    storedBefore: room.position,
    toldUpTo: undefined,
    lastSeen: new Map(),
    nowUs: 1,
    ...source,
  };
  const { changes } = foldSection(draft, section, whole, room, undefined);
  room.store(draft, changes);
  return draft.contests;
}

const keys = (contests: readonly OpenQuestion[]) =>
  contests.map((contest) => (contest.kind === "state" ? `${contest.type}/${contest.stateKey}` : contest.kind));

describe("a state key is contested", () => {
  test("when its response cannot know of the value that is stored", () => {
    const room = stored([name("$new", "new")]);
    expect(contestsOf(room, [name("$between", "between")], STALE)).toEqual([
      { ...bobs, kind: "state", roomId: ROOM, type: "m.room.name", stateKey: "", isMissing: false },
    ]);
    expect(room.row.name).toBe("new");
  });

  test("when what restricts acts before it is proven", () => {
    const room = stored([visibility("$shared", "shared")]);
    const news = [visibility("$joined", "joined"), member("$kicked", CAROL, "leave", { sender: ALICE })];
    expect(keys(contestsOf(room, news, STALE)).sort()).toEqual([
      "m.room.history_visibility/",
      `m.room.member/${CAROL}`,
    ]);
  });

  test.each<[string, readonly V2Event[], Parameters<typeof contestsOf>[2]]>([
    ["is told by a later request", [name("$x", "x")], {}],
    ["comes after what is stored", [name("$new", "new"), name("$x", "x")], STALE],
    ["ends with what is stored", [name("$x", "x"), name("$new", "new")], STALE],
    ["is what is stored", [name("$new", "new")], STALE],
    ["is told of a room that its user left", [name("$x", "x")], { ...STALE, kind: "leave" }],
  ])("not when it %s", (_, timeline, more) => {
    const room = stored([name("$new", "new")]);
    expect(keys(contestsOf(room, timeline, more)).filter((key) => key.startsWith("m.room.name"))).toEqual([]);
  });

  test("not in a room of which nothing whole is stored: the section stands", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([name("$n", "n")]));
    expect(keys(contestsOf(room, [name("$x", "x")], STALE))).toEqual(["timeline"]);
    expect(room.row.name).toBe("x");
  });

  test("again, when the answer crosses a value that is stored meanwhile", () => {
    const room = stored();
    const before = room.position;
    room.fold("join", inRoom([name("$new", "new")]));
    expect(keys(contestsOf(room, [], { poll: "asked", storedBefore: before, after: [name("$x", "x")] }))).toEqual([
      "m.room.name/",
    ]);
    expect(contestsOf(room, [], { poll: "asked", after: [name("$x", "x")] })).toEqual([]);
    expect(room.row.name).toBe("x");
  });
});

describe("a member is missing", () => {
  const missing = (room: DraftedRoom, timeline: readonly V2Event[], more: Parameters<typeof contestsOf>[2] = {}) =>
    contestsOf(room, timeline, more).flatMap((each) => (each.kind === "state" && each.isMissing ? each.stateKey : []));

  test("who sends, or of whom a member event tells that is not current", () => {
    const events = [message("$m", { sender: DANA }), message("$n", { sender: DANA }), message("$o", { sender: BOB })];
    expect(missing(stored(), events)).toEqual([DANA]);
    const invite = member("$i", DANA, "invite", { sender: ALICE });
    expect(missing(stored(), [invite], { after: [] })).toEqual([DANA]);
  });

  test("not when the section has them, nor in a room that is left", () => {
    expect(missing(stored(), [member("$d", DANA, "join"), message("$m", { sender: DANA })])).toEqual([]);
    const after = [member("$d", DANA, "join")];
    expect(missing(stored(), [message("$m", { sender: DANA })], { after })).toEqual([]);
    expect(missing(stored(), [message("$m", { sender: DANA })], { kind: "leave" })).toEqual([]);
  });
});

describe("own membership is contested", () => {
  const ofBob = (contests: readonly OpenQuestion[]) => contests.filter(({ kind }) => kind === "membership");

  test("by an invite that came while another's stream told of the departure", () => {
    const room = stored([member("$kicked", BOB, "leave", { sender: ALICE })]);
    expect(ofBob(contestsOf(room, [], { ...STALE, kind: "invite" }))).toEqual([
      {
        ...bobs,
        kind: "membership",
        roomId: ROOM,
        stored: Membership.leave,
        claimed: { kind: "invite", stripped: [Buffer.from("{}")], own: [] },
      },
    ]);
  });

  test("by a join, and not by one that its response shows to be later", () => {
    const kicked = member("$kicked", BOB, "leave", { sender: ALICE });
    const joined = member("$back", BOB, "join");
    expect(ofBob(contestsOf(stored([kicked]), [], { ...STALE, after: [joined] }))).toMatchObject([
      { stored: Membership.leave, claimed: { kind: "join" } },
    ]);
    expect(ofBob(contestsOf(stored([kicked]), [kicked, joined], STALE))).toEqual([]);
  });

  test("by another's stream that tells of a departure which it cannot prove", () => {
    const room = stored();
    const source = { ...STALE, userNid: 1 as UserNid, userId: ALICE as UserId };
    const contests = contestsOf(room, [member("$kicked", BOB, "leave", { sender: ALICE })], source);
    expect(ofBob(contests)).toEqual([
      { ...bobs, kind: "membership", roomId: ROOM, stored: Membership.join, claimed: undefined },
    ]);
    expect(room.memberships.get(BOB as UserId)?.membership).toBe(Membership.leave);
  });
});

describe("what was asked", () => {
  const asked = { poll: "asked" } as const;

  test("ends the membership of another user whose departure was known", () => {
    const room = stored();
    const left = member("$left", BOB, "leave");
    room.fold("leave", inRoom([left]), bobs);
    room.fold("join", inRoom([member("$back", BOB, "join")]), bobs);
    contestsOf(room, [], { ...asked, userNid: 1 as UserNid, userId: ALICE as UserId, after: [left] });
    expect(room.memberships.get(BOB as UserId)?.membership).toBe(Membership.leave);
  });

  test("lets the user in from their join, where that is known", () => {
    const room = stored([member("$kicked", BOB, "leave", { sender: ALICE }), message("$missed")]);
    const back = member("$back", BOB, "join");
    room.fold("join", inRoom([back, message("$seen")]));
    contestsOf(room, [], { ...asked, after: [back] });
    const { membership, sinceOrderKey } = room.memberships.get(BOB as UserId)!;
    expect([membership, sinceOrderKey]).toEqual([Membership.join, room.events.get("$back")?.orderKey]);
  });

  test("makes no room whole", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([name("$n", "n")]));
    contestsOf(room, [], { ...asked, after: [create()] });
    expect(room.row.isComplete).toBe(false);
  });
});

describe("the whole state of a room is suspected", () => {
  const danas = { userNid: 4 as UserNid, userId: DANA as UserId };
  const isSuspected = (...given: Parameters<typeof contestsOf>) =>
    keys(contestsOf(...given)).includes("room-state" as never);

  test("after a hole of a stream that has state before its timeline, by who was in the room", () => {
    expect(isSuspected(stored(), [message("$m")], { limited: true })).toBe(true);
    expect(isSuspected(stored(), [message("$m")], { limited: true, poll: "catch-up" })).toBe(true);
  });

  test("of who comes in after all others left: what became of members meanwhile nobody was told", () => {
    const room = stored();
    for (const user of [{ userNid: 1 as UserNid, userId: ALICE as UserId }, bobs]) {
      room.fold("leave", inRoom([member(`$out${user.userNid}`, user.userId, "leave")]), user);
    }
    expect(isSuspected(room, [member("$in", DANA, "join")], { limited: true, after: [], ...danas })).toBe(true);
  });

  test.each<[string, Parameters<typeof contestsOf>[2]]>([
    ["where nothing is missing", {}],
    ["with state_after", { limited: true, after: [] }],
    ["in a first sync, which tells all state", { limited: true, poll: "first" }],
    ["of who comes in where others are, who are told what changes", { limited: true, ...danas }],
  ])("not %s", (_, more) => {
    expect(isSuspected(stored(), [message("$m")], more)).toBe(false);
  });
});

describe("all members of a room are known", () => {
  const list = (room: DraftedRoom, isLast: boolean, reading = 7) => {
    const section = parseSection(emptySection("join", ROOM as RoomId), () => {});
    const source: Source = {
      ...bobs,
      deviceNid: 2,
      ignoresSomebody: true,
      poll: "asked",
      storedBefore: room.position,
      toldUpTo: undefined,
      lastSeen: new Map(),
      nowUs: 1,
    };
    const draft = room.draft();
    const { changes } = foldSection(draft, { ...section, members: { reading, isLast } }, source, room, undefined);
    room.store(draft, changes);
  };
  const areKnown = (room: DraftedRoom) => room.row.membersBatch !== undefined;
  /** Of which no timeline told the beginning. */
  const lazy = () => {
    const room = stored();
    room.row = { ...room.row, membersBatch: undefined, membersReading: 7 };
    return room;
  };
  const gap = (room: DraftedRoom) => contestsOf(room, [message(`$after${room.position}`)], { limited: true });

  test("where the room is told from its creation on", () => {
    const room = new DraftedRoom();
    room.fold("join", { timeline: { events: [create(), member("$alice", ALICE, "join")], limited: false } });
    expect(areKnown(room)).toBe(true);
    gap(room);
    expect(areKnown(room)).toBe(false);
  });

  test("with the last part of the list, until there is a hole", () => {
    const room = lazy();
    list(room, false);
    expect(areKnown(room)).toBe(false);
    list(room, true);
    expect([areKnown(room), room.row.membersReading]).toEqual([true, undefined]);
    gap(room);
    expect(areKnown(room)).toBe(false);
  });

  test("not where a hole came, or another reading began, while the list was read", () => {
    const room = lazy();
    gap(room);
    list(room, true);
    expect(areKnown(room)).toBe(false);
    const other = lazy();
    list(other, true, 6);
    expect(areKnown(other)).toBe(false);
  });
});
