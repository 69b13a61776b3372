import { describe, expect, test } from "@jest/globals";
import type { ValueAnswer } from "../../../src/homeserver/value-reads.ts";
import { decide, standsForOutsider } from "../../../src/intake/fetch/decide.ts";
import type { Contest } from "../../../src/intake/ingest/contest.ts";
import type { ParsedSection } from "../../../src/intake/response/parsed-section.ts";
import type { RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { ALICE, BOB, member, message, name, state } from "../../support/v2-events.ts";

const ROOM = "!room:test" as RoomId;
const OTHER = "!other:test" as RoomId;
const bob = { userNid: 2 as UserNid, userId: BOB as UserId };

const found = (value: unknown): ValueAnswer => ({ kind: "found", raw: Buffer.from(JSON.stringify(value)) });
const ABSENT: ValueAnswer = { kind: "absent" };
const REFUSED: ValueAnswer = { kind: "refused", status: 403, errcode: "M_FORBIDDEN" };

const ofName: Contest = {
  ...bob,
  kind: "state",
  roomId: ROOM,
  type: "m.room.name",
  stateKey: "",
  isMissing: false,
};
const ofMembership = (stored: Membership, kind?: ParsedSection["kind"]): Contest => ({
  ...bob,
  kind: "membership",
  roomId: ROOM,
  stored,
  claimed: kind && { kind, stripped: [Buffer.from("{}")], own: [] },
});
const ofData = (type: string, roomId?: RoomId): Contest => ({ ...bob, kind: "account-data", roomId, type });

const own = (answer: ValueAnswer) => new Map([[ROOM, answer]]);
const JOINED = found(member("$bob", BOB, "join"));
const LEFT = found(member("$left", BOB, "leave"));

const summary = ({ kind, roomId, state: events, stripped }: ParsedSection) => ({
  kind,
  roomId,
  state: events.map(({ eventId }) => eventId),
  stripped: stripped.length,
});

describe("values of a room's state", () => {
  test("are current with the reader's own membership", () => {
    const answered = [{ contest: ofName, answer: found(name("$name", "Name")) }];
    const { sections, asked, outcomes } = decide(bob.userId, answered, own(JOINED));
    expect(sections.map(summary)).toEqual([{ kind: "join", roomId: ROOM, state: ["$name", "$bob"], stripped: 0 }]);
    expect([asked, [...outcomes.values()]]).toEqual([[], ["decided"]]);
  });

  test("are left out, and the departure told, when the reader has left meanwhile", () => {
    const answered = [{ contest: ofName, answer: found(name("$name", "Name")) }];
    const { sections, outcomes } = decide(bob.userId, answered, own(LEFT));
    expect(sections.map(summary)).toEqual([{ kind: "leave", roomId: ROOM, state: ["$left"], stripped: 0 }]);
    expect(outcomes.get(ofName)).toBe("refused");
  });

  test.each<[string, ValueAnswer, ValueAnswer, string]>([
    ["there is none, and the reader is no member", ABSENT, REFUSED, "refused"],
    ["there is none, and the reader has left", ABSENT, found(member("$leave", BOB, "leave")), "refused"],
    ["the reader may not know", REFUSED, REFUSED, "refused"],
    ["the reader is no member", found(name("$name", "Name")), REFUSED, "refused"],
    ["the reader's own is unknown", found(name("$name", "Name")), ABSENT, "refused"],
    ["it is of another type", found(state("$topic", "m.room.topic")), JOINED, "invalid"],
    ["it is of another key", found({ ...name("$name", "Name"), state_key: "x" }), JOINED, "invalid"],
    ["it is of another room", found({ ...name("$name", "Name"), room_id: OTHER }), JOINED, "invalid"],
    ["it is content", found({ name: "Name" }), JOINED, "invalid"],
    ["it is null", found(null), JOINED, "invalid"],
    ["the own event is of somebody else", found(name("$name", "N")), found(member("$a", ALICE, "join")), "refused"],
    [
      "the own event is of another room",
      found(name("$n", "N")),
      found({ ...member("$b", BOB, "join"), room_id: OTHER }),
      "refused",
    ],
  ])("are no values when %s", (_, answer, ownAnswer, outcome) => {
    const { sections, outcomes } = decide(bob.userId, [{ contest: ofName, answer }], own(ownAnswer));
    expect(outcomes.get(ofName)).toBe(outcome);
    expect(sections.flatMap((section) => section.state.filter(({ type }) => type !== "m.room.member"))).toEqual([]);
  });

  test("are gone where there is none, as who is in the room is told", () => {
    const gone = decide(bob.userId, [{ contest: ofName, answer: ABSENT }], own(JOINED));
    expect(gone.outcomes.get(ofName)).toBe("decided");
    expect(gone.sections.map(({ kind, absent }) => [kind, absent])).toEqual([["join", [ofName]]]);
    const ofMember: Contest = { ...ofName, type: "m.room.member", stateKey: ALICE, isMissing: true } as Contest;
    const missing = decide(bob.userId, [{ contest: ofMember, answer: ABSENT }], own(JOINED));
    expect(missing.outcomes.get(ofMember)).toBe("absent");
    expect(missing.sections.map(({ absent }) => absent)).toEqual([undefined]);
  });

  test("say that a room is encrypted", () => {
    const contest: Contest = {
      ...ofName,
      kind: "state",
      roomId: ROOM,
      type: "m.room.encryption",
      stateKey: "",
      isMissing: false,
    };
    const answered = [{ contest, answer: found(state("$e", "m.room.encryption", { algorithm: "x" })) }];
    expect(decide(bob.userId, answered, own(JOINED)).sections[0]?.isEncrypted).toBe(true);
  });
});

describe("a user's own membership", () => {
  test.each<[string, ValueAnswer, Contest, unknown]>([
    ["a join", JOINED, ofMembership(Membership.leave), { kind: "join", state: ["$bob"], stripped: 0 }],
    ["a departure", LEFT, ofMembership(Membership.join), { kind: "leave", state: ["$left"], stripped: 0 }],
    ["an invite", REFUSED, ofMembership(Membership.leave, "invite"), { kind: "invite", state: [], stripped: 1 }],
    [
      "a departure without an event",
      ABSENT,
      ofMembership(Membership.join, "leave"),
      { kind: "leave", state: [], stripped: 1 },
    ],
    [
      "an invite that all may read",
      found(member("$i", BOB, "invite")),
      ofMembership(Membership.leave, "invite"),
      { kind: "invite", state: [], stripped: 1 },
    ],
  ])("is %s where the homeserver says so", (_, ownAnswer, contest, expected) => {
    const { sections, outcomes } = decide(bob.userId, [{ contest, answer: ABSENT }], own(ownAnswer));
    expect(sections.map(summary)).toMatchObject([{ roomId: ROOM, ...(expected as object) }]);
    expect(outcomes.get(contest)).toBe("decided");
  });

  test("stays as it is when the answer is none", () => {
    const contest = ofMembership(Membership.leave, "invite");
    const { sections, outcomes } = decide(
      bob.userId,
      [{ contest, answer: ABSENT }],
      own(found({ membership: "join" })),
    );
    expect([sections, outcomes.get(contest)]).toEqual([[], "invalid"]);
  });

  test.each<[string, ValueAnswer]>([
    ["a homeserver that does not serve it", { kind: "refused", status: 404, errcode: "M_UNRECOGNIZED" }],
    ["a proxy", { kind: "refused", status: 403, errcode: undefined }],
    ["a proxy that does not find it", { kind: "refused", status: 404, errcode: undefined }],
    ["whoever finds the request too long", { kind: "refused", status: 414, errcode: undefined }],
  ])("stays where the answer is that of %s, whatever a stream said", (_, answer) => {
    const gone = ofMembership(Membership.join, "leave");
    const claimed = { kind: "leave", stripped: [], own: [], leftOutAfter: 7 as StreamPosition } as const;
    const leftOut: Contest = { ...bob, kind: "membership", roomId: ROOM, stored: Membership.join, claimed };
    for (const contest of [gone, leftOut]) {
      const decision = decide(bob.userId, [{ contest, answer }], own(answer));
      expect([decision.sections, decision.leftOut]).toEqual([[], []]);
      expect(decision.outcomes.get(contest)).toBe("invalid");
    }
  });

  test.each([
    Membership.join,
    Membership.invite,
  ])("that is stored as %s ends for one who cannot read the room with what left it out, against no more than that knew", (stored) => {
    const after = 5 as StreamPosition;
    const contest = {
      ...ofMembership(stored, "leave"),
      claimed: { kind: "leave", stripped: [], own: [], leftOutAfter: after },
    } as Contest;
    const { sections, leftOut, outcomes } = decide(bob.userId, [{ contest, answer: ABSENT }], own(REFUSED));
    expect(sections).toEqual([]);
    expect(leftOut.map((each) => [summary(each.section), each.after])).toEqual([
      [{ kind: "leave", roomId: ROOM, state: [], stripped: 0 }, after],
    ]);
    expect(outcomes.get(contest)).toBe("decided");
    const stays = decide(bob.userId, [{ contest, answer: ABSENT }], own(JOINED));
    expect([stays.sections.map(({ kind }) => kind), stays.leftOut]).toEqual([["join"], []]);
  });

  const { join, invite, knock, leave, ban } = Membership;
  test.each([
    [join, "join", false],
    [leave, "join", false],
    [leave, "invite", true],
    [join, "invite", true],
    [ban, "invite", false],
    [knock, "invite", false],
    [leave, "knock", true],
    [join, "leave", true],
    [invite, "leave", false],
    [ban, "leave", false],
  ] as const)("that is stored as %s gives way to a claim of %s of one who cannot read the room: %s", (stored, claimed, stands) => {
    expect(standsForOutsider(stored, claimed)).toBe(stands);
  });
});

describe("a room's newest events", () => {
  const contest: Contest = { ...bob, kind: "timeline", roomId: ROOM };
  const raw = (eventId: string) => Buffer.from(JSON.stringify(message(eventId)));
  const page = { kind: "page", page: { events: [raw("$new"), raw("$old")], end: "older" } } as const;

  test.each([
    ["join", JOINED, ["$bob"]],
    ["leave", LEFT, ["$left"]],
  ] as const)("are the end of a timeline, oldest first, for who is there or was (%s)", (kind, answer, state) => {
    const { sections, outcomes } = decide(bob.userId, [{ contest, answer: page }], own(answer));
    expect(sections).toMatchObject([
      {
        kind,
        timeline: [{ eventId: "$old" }, { eventId: "$new" }],
        isStateAfter: true,
        limited: true,
        prevBatch: "older",
      },
    ]);
    expect([sections.map(({ state: events }) => events.map(({ eventId }) => eventId)), outcomes.get(contest)]).toEqual([
      [state],
      "decided",
    ]);
  });

  test.each([
    ["the reader is invited", page, found(member("$in", BOB, "invite")), "refused"],
    ["the reader cannot tell", page, REFUSED, "refused"],
    ["the reader may not", REFUSED, JOINED, "refused"],
    ["they are none", found(null), JOINED, "invalid"],
  ] as const)("are left out where %s", (_, answer, ownAnswer, outcome) => {
    const { sections, outcomes } = decide(bob.userId, [{ contest, answer }], own(ownAnswer));
    expect(sections.flatMap(({ timeline }) => timeline)).toEqual([]);
    expect(outcomes.get(contest)).toBe(outcome);
  });
});

describe("account data", () => {
  test.each<[string, Contest, ValueAnswer, string | undefined, string]>([
    ["is the content", ofData("m.direct"), found({ a: [] }), '{"type":"m.direct","content":{"a":[]}}', "decided"],
    ["of a room too", ofData("m.tag", ROOM), found({ tags: {} }), '{"type":"m.tag","content":{"tags":{}}}', "decided"],
    ["that was deleted is empty", ofData("org.x"), ABSENT, '{"type":"org.x","content":{}}', "decided"],
    ["is never without push rules", ofData("m.push_rules"), ABSENT, undefined, "absent"],
    ["that is refused stays", ofData("org.x"), REFUSED, undefined, "refused"],
    ["is an object", ofData("org.x"), found(null), undefined, "invalid"],
  ])("%s", (_, contest, answer, body, outcome) => {
    const { asked, sections, outcomes } = decide(bob.userId, [{ contest, answer }], new Map());
    expect(asked.map(({ event, roomId }) => [event.body.toString(), roomId])).toEqual(
      body === undefined ? [] : [[body, contest.roomId]],
    );
    expect([sections, outcomes.get(contest)]).toEqual([[], outcome]);
  });
});
