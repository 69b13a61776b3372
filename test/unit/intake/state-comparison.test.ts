import { describe, expect, test } from "@jest/globals";
import { StateComparison } from "../../../src/intake/fetch/state-comparison.ts";
import type { EventId, RoomId, UserId } from "../../../src/model/ids.ts";
import { stateKeyOf } from "../../../src/model/room-facts.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { ALICE, BOB, CAROL, create, member, name, state, type V2Event } from "../../support/v2-events.ts";

const ROOM = "!room:test";
const ASKED_AT = 10;

interface Stored {
  readonly event: V2Event;
  readonly position?: number;
  readonly isGone?: boolean;
}

const ALICES = member("$alice", ALICE, "join");
const BASE = [create(), ALICES];

function compare(stored: readonly Stored[], upstream: readonly object[], areMembersKnown = false) {
  const values = stored.map(({ event: { type, state_key: stateKey = "", event_id }, position = 1, isGone = false }) => {
    const eventId = isGone ? undefined : (event_id as EventId);
    return [stateKeyOf(type, stateKey), { type, stateKey, eventId, position: position as StreamPosition }] as const;
  });
  const comparison = new StateComparison({
    roomId: ROOM as RoomId,
    userId: ALICE as UserId,
    stored: new Map(values),
    areMembersKnown,
    storedBefore: ASKED_AT as StreamPosition,
  });
  for (const event of upstream) comparison.add(Buffer.from(JSON.stringify(event)));
  return comparison.end()?.map(({ kind, type, stateKey }) => `${kind} ${type} ${stateKey}`.trim());
}

const all = (...events: readonly V2Event[]): readonly Stored[] => [...BASE, ...events].map((event) => ({ event }));

describe("state differs from the homeserver's", () => {
  test.each<[string, readonly Stored[], readonly V2Event[], readonly string[]]>([
    ["nowhere", all(name("$a", "A")), [name("$a", "A")], []],
    ["in a key that is here alone", all(name("$a", "A")), [], ["here m.room.name"]],
    ["in a key that is there alone", all(), [name("$a", "A")], ["upstream m.room.name"]],
    ["in an event", all(name("$a", "A")), [name("$b", "B")], ["other m.room.name"]],
    [
      "in a member who is stored",
      all(member("$b", BOB, "join")),
      [member("$c", BOB, "leave")],
      [`other m.room.member ${BOB}`],
    ],
    ["not in members who are not stored", all(), [member("$c", CAROL, "join")], []],
    [
      "in a value that is back",
      [...all(), { event: name("$a", "A"), isGone: true }],
      [name("$a", "A")],
      ["upstream m.room.name"],
    ],
    ["not in a value that is gone on both sides", [...all(), { event: name("$a", "A"), isGone: true }], [], []],
    ["not in what was stored since", [...all(), { event: name("$a", "A"), position: 11 }], [name("$b", "B")], []],
    ["not in that a room is no longer encrypted", all(state("$e", "m.room.encryption", {})), [], []],
  ])("%s", (_, stored, upstream, drift) => {
    expect(compare(stored, [...BASE, ...upstream])).toEqual(drift);
  });

  test("in a member who is not stored, where all of them should be", () => {
    expect(compare(all(), [...BASE, member("$c", CAROL, "join")], true)).toEqual([`upstream m.room.member ${CAROL}`]);
  });

  test.each<[string, readonly object[]]>([
    ["without the user", [create()]],
    ["in which the user has left", [create(), member("$left", ALICE, "leave")]],
    ["without a beginning", [ALICES]],
    ["of nothing", []],
    ["of another room", BASE.map((event) => ({ ...event, room_id: "!other:test" }))],
    ["of no events", [{}, []]],
  ])("in nothing that an answer %s says", (_, upstream) => {
    expect(compare(all(name("$a", "A")), upstream)).toBeUndefined();
  });

  test("in five hundred keys at most at a time", () => {
    const many = Array.from({ length: 600 }, (_, n) => state(`$${n}`, `org.example.${n}`, {}));
    expect(compare(all(), [...BASE, ...many])).toHaveLength(500);
  });
});
