import { describe, expect, test } from "@jest/globals";
import { foldRecalled } from "../../../src/intake/ingest/fold-recalled.ts";
import type { Source } from "../../../src/intake/ingest/source.ts";
import { parseSection } from "../../../src/intake/response/parsed-section.ts";
import { emptySection } from "../../../src/intake/response/room-section.ts";
import { ChangeStream } from "../../../src/model/change.ts";
import type { EventId, RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import { DraftedRoom, ROOM } from "../../support/drafted-room.ts";
import { ALICE, BOB, create, inRoom, member, message, name, type V2Event } from "../../support/v2-events.ts";

const NOW_US = 2_000_000_000_000_000;

const SOURCE = {
  userNid: 1 as UserNid,
  userId: ALICE as UserId,
  deviceNid: 1,
  ignoresSomebody: true,
  poll: "asked",
  storedBefore: 0,
  toldUpTo: undefined,
  lastSeen: new Map(),
  nowUs: NOW_US,
} as unknown as Source;

const raw = (event: V2Event) => Buffer.from(JSON.stringify(event));
const leave = (more: Partial<V2Event> = {}) => member("$leave", ALICE, "leave", more);

function recall(
  room: DraftedRoom,
  timeline: readonly V2Event[],
  state: readonly V2Event[] = [create(), name("$then", "then")],
) {
  const draft = room.draft();
  const section = parseSection(
    {
      ...emptySection("leave", ROOM as RoomId),
      timeline: timeline.map(raw),
      stateAfter: state.map(raw),
      prevBatch: "before",
    },
    () => undefined,
  );
  const changes = foldRecalled(draft, section, SOURCE, { numbers: room, token: "after" });
  return { draft, changes, writes: draft.writes };
}

/** A room in which Bob is, as it is now. */
function roomOfBob(): DraftedRoom {
  const room = new DraftedRoom();
  const now = [create(), name("$now", "now"), member("$bob", BOB, "join"), message("$1")];
  room.fold("join", inRoom(now), { userNid: 2 as UserNid, userId: BOB as UserId });
  return room;
}

test("what a user was shown is kept for that user, up to the departure, with what is read on from", () => {
  const { draft, changes, writes } = recall(new DraftedRoom(), [message("$1"), leave()]);
  const nidOf = (eventId: string) => draft.events.nidOf(eventId as EventId);
  const [timeline, state] = [["$1", "$leave"].map(nidOf), ["$create", "$then"].map(nidOf)];
  const shown = { timeline, state, tokenBefore: "before", tokenAfter: "after" };
  expect(writes.recalled).toEqual([{ userNid: 1, nid: nidOf("$leave"), ...shown }]);
  expect(writes.memberships).toMatchObject([{ userNid: 1, membership: Membership.leave, nid: nidOf("$leave") }]);
  expect(changes).toMatchObject([{ stream: ChangeStream.membership, userNid: 1 }]);
});

test("nothing of it says how the room is, or where its events stand in it", () => {
  const { draft, writes } = recall(roomOfBob(), [message("$old"), message("$1"), leave()]);
  expect(draft.currentState("m.room.name", "")).toBe(draft.events.nidOf("$now" as EventId));
  expect(draft.row.name).toBe("now");
  const untouched = [writes.state, writes.placed, writes.chunks, writes.tokens, writes.moved];
  expect(untouched).toEqual(untouched.map(() => []));
  expect(writes.events.map(({ event, orderKey }) => [event.eventId, orderKey])).toEqual([
    ["$old", undefined],
    ["$leave", undefined],
    ["$then", undefined],
  ]);
});

test("a departure of which its homeserver says that it is to come counts from now", () => {
  const { writes } = recall(new DraftedRoom(), [leave({ origin_server_ts: 9_000_000_000_000 })]);
  expect(writes.memberships).toMatchObject([{ sinceUs: NOW_US }]);
});

describe("nothing is taken", () => {
  test("where anything is known of the user in the room", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), member("$join", ALICE, "join")]));
    const { changes, writes } = recall(room, [leave()]);
    expect([changes, writes.recalled, writes.memberships, writes.events]).toEqual([[], [], [], []]);
  });

  test.each([
    ["that ends with no departure", [leave(), message("$1")]],
    ["that ends with the departure of somebody else", [member("$leave", BOB, "leave")]],
    ["that ends with a join", [member("$join", ALICE, "join")]],
    ["without events", []],
  ])("of a timeline %s", (_which, timeline) => {
    const { changes, writes } = recall(new DraftedRoom(), timeline);
    expect([changes, writes.recalled, writes.memberships, writes.events]).toEqual([[], [], [], []]);
  });
});
