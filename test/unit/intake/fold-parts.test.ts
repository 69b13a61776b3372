import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { foldParts } from "../../../src/intake/ingest/fold-parts.ts";
import type { ResponsePart } from "../../../src/intake/ingest/part.ts";
import { PersonalDraft } from "../../../src/intake/ingest/personal-draft.ts";
import { numbersNeeded } from "../../../src/intake/ingest/store-parts.ts";
import { parseSection } from "../../../src/intake/response/parsed-section.ts";
import { ResponseReader } from "../../../src/intake/response/response-reader.ts";
import type { RoomSection } from "../../../src/intake/response/room-section.ts";
import { ChangeStream } from "../../../src/model/change.ts";
import type { DeviceNid, EventId, RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import { BEFORE_ALL } from "../../../src/model/stream-position.ts";
import { DraftedRoom, ROOM } from "../../support/drafted-room.ts";
import {
  ALICE,
  BOB,
  create,
  inRoom,
  member,
  message,
  messages,
  name,
  type RoomParts,
} from "../../support/v2-events.ts";

/** A part of a response that says `rooms`; with `rest` it ends the response. */
function partOf(
  room: DraftedRoom,
  rooms: object,
  rest?: object,
  more: Partial<ResponsePart["source"]> = {},
): ResponsePart {
  const sections: RoomSection[] = [];
  const reader = new ResponseReader({ onRoom: (section) => sections.push(section), onSetAside: () => {} });
  reader.write(Buffer.from(JSON.stringify({ rooms, ...rest })));
  reader.end();
  return {
    claim: { deviceNid: 1 as DeviceNid, epoch: 1 },
    source: {
      userNid: 1 as UserNid,
      userId: ALICE as UserId,
      deviceNid: 1,
      ignoresSomebody: false,
      poll: "live",
      storedBefore: room.position,
      toldUpTo: undefined,
      lastSeen: new Map(),
      nowUs: 2_000_000_000_000_000,
      ...more,
    },
    sections: sections.map((section) => parseSection(section, () => {})),
    token: "s1",
    end: rest && { rest: reader.rest, since: { from: "s0", to: "s1" }, whole: undefined },
    receivedUs: undefined,
  };
}

function fold(room: DraftedRoom, parts: readonly ResponsePart[]) {
  const draft = room.draft();
  const own = nothingPersonal(room);
  const folded = foldParts(parts, { rooms: new Map([[ROOM as RoomId, draft]]), personal: own }, room);
  return { ...folded, ...own.writes, writes: draft.writes, draft };
}

const nothingPersonal = (room: DraftedRoom) =>
  new PersonalDraft({ accountData: new Map(), receipts: new Map(), typing: new Map() }, room);

const personal: RoomParts = {
  unread_notifications: { notification_count: 1 },
  ephemeral: {
    events: [
      { type: "m.receipt", content: { $a: { "m.read": { [BOB]: { ts: 1 } } } } },
      { type: "m.typing", content: { user_ids: [BOB] } },
    ],
  },
  account_data: {
    events: [
      { type: "m.tag", content: {} },
      { type: "m.fully_read", content: {} },
    ],
  },
};

describe("the parts of some responses", () => {
  test("wake the devices of a user who has just sent what another stream brought before, once for all rooms", () => {
    const room = new DraftedRoom();
    const justNow = { origin_server_ts: 2_000_000_000_000 };
    const [a, b] = [message("$a", justNow), message("$b", justNow)];
    room.fold("join", inRoom([create(), a, b]), { userId: BOB as UserId, userNid: 2 as UserNid });
    const bringing = (sent: object, more: Partial<ResponsePart["source"]> = {}) =>
      fold(room, [partOf(room, { join: { [ROOM]: sent } }, {}, more)]).changes.filter(
        ({ stream }) => stream === ChangeStream.sent,
      );
    const woken = { stream: ChangeStream.sent, userNid: 1, flags: 0 };
    expect(bringing(inRoom([a, b]))).toEqual([expect.objectContaining(woken)]);
    expect(bringing(inRoom([message("$new", justNow)]))).toEqual([]);
    expect(bringing(inRoom([a, b]), { userId: BOB as UserId })).toEqual([]);
    expect(bringing(inRoom([message("$a")]), { nowUs: 2_000_001_000_000_000 })).toEqual([]);
  });

  test("are published room by room, the user's own facts after the room's", () => {
    const room = new DraftedRoom();
    const part = partOf(room, { join: { [ROOM]: inRoom([create(), ...messages("$a")], personal) } }, {});
    const { changes, accountData, receipts, typing, tokens } = fold(room, [part]);
    expect(changes.map(({ stream }) => stream)).toEqual([
      ChangeStream.room,
      ChangeStream.membership,
      ChangeStream.accountData,
      ChangeStream.receipts,
      ChangeStream.typing,
    ]);
    expect(accountData.map(({ type }) => type)).toEqual(["m.tag", "m.fully_read"]);
    expect([receipts.length, typing.length]).toEqual([1, 1]);
    expect(tokens).toEqual([{ batch: changes[0]?.batch, token: "s1" }]);
  });

  test("of a long response have one membership change for all their rooms", () => {
    const room = new DraftedRoom();
    const part = partOf(room, { join: { [ROOM]: inRoom([create()], personal) } });
    const { changes, writes } = fold(room, [part]);
    const [, own] = changes;
    expect(own).toMatchObject({ stream: ChangeStream.membership, userNid: 1 });
    expect(own?.room).toBeUndefined();
    expect([writes.memberships[0]?.batch, writes.personal[0]?.batch]).toEqual([own?.batch, own?.batch]);
  });

  test("come in the order of their newest events", () => {
    const at = (eventId: string, ms: number) => inRoom([message(eventId, { origin_server_ts: ms })]);
    const [first, second] = [new DraftedRoom(), new DraftedRoom()];
    const part = partOf(first, { join: { "!new:test": at("$new", 9), "!old:test": at("$old", 3) } }, {});
    const drafts = new Map([
      ["!new:test" as RoomId, first.draft()],
      ["!old:test" as RoomId, second.draft()],
    ]);
    foldParts([part], { rooms: drafts, personal: nothingPersonal(first) }, first);
    const batchOf = (roomId: string) => drafts.get(roomId as RoomId)?.writes.events[0]?.batch ?? 0;
    expect(batchOf("!old:test")).toBeLessThan(batchOf("!new:test"));
  });

  test("say of who left and was invited again that they left, and not that this is how it is now", () => {
    const room = new DraftedRoom();
    const bobs = { userId: BOB as UserId, userNid: 2 as UserNid };
    const invited = member("$invited", ALICE, "invite", { sender: BOB });
    room.fold("join", inRoom([create(), member("$bob", BOB, "join"), invited]), bobs);
    const left = { leave: { [ROOM]: inRoom([member("$left", ALICE, "leave")], { state: [create()] }) } };
    const again = { invite: { [ROOM]: { invite_state: { events: [invited] } } } };
    const currentAfter = (rooms: object) => {
      const { draft } = fold(room, [partOf(room, rooms, {})]);
      const nid = draft.currentState("m.room.member", ALICE);
      return [nid === draft.events.nidOf("$invited" as EventId), draft.memberships.get(ALICE as UserId)?.membership];
    };
    expect(currentAfter({ ...again, ...left })).toEqual([true, Membership.invite]);
    expect(currentAfter(left)).toEqual([false, Membership.leave]);
  });

  test("with global account data publish it once for all types", () => {
    const room = new DraftedRoom();
    const events = [
      { type: "m.direct", content: {} },
      { type: "m.push_rules", content: {} },
    ];
    const { changes, accountData } = fold(room, [partOf(room, {}, { account_data: { events } })]);
    expect(changes).toMatchObject([{ stream: ChangeStream.accountData, userNid: 1 }]);
    expect(accountData.map(({ room: nid, type, batch }) => [nid, type, batch])).toEqual([
      [0, "m.direct", changes[0]?.batch],
      [0, "m.push_rules", changes[0]?.batch],
    ]);
  });
});

/** Sections that may do anything to the room, in any order. */
const event = fc.oneof(
  fc.nat(20).map((n) => message(`$m${n}`)),
  fc.nat(5).map((n) => name(`$n${n}`, `${n}`)),
  fc
    .tuple(fc.nat(12), fc.constantFrom(ALICE, BOB), fc.constantFrom("join", "leave", "ban"))
    .map(([n, user, membership]) => member(`$u${n}`, user, membership)),
  fc.constant(create()),
);

const section = fc.record({
  kind: fc.constantFrom("join", "join", "leave", "invite"),
  timeline: fc.array(event, { maxLength: 6 }),
  state: fc.array(
    event.filter(({ state_key }) => state_key !== undefined),
    { maxLength: 4 },
  ),
  stateKey: fc.constantFrom("state" as const, "after" as const),
  limited: fc.boolean(),
  more: fc.constantFrom({}, personal),
  user: fc.constantFrom({}, { userNid: 2 as UserNid, userId: BOB as UserId }),
  rest: fc.constantFrom({}, undefined),
  ignoresSomebody: fc.boolean(),
  asked: fc.constantFrom({}, { storedBefore: BEFORE_ALL }),
});
type Given = typeof section extends fc.Arbitrary<infer Value> ? Value : never;

function partFrom(room: DraftedRoom, given: Given): ResponsePart {
  const { kind, timeline, state, stateKey, limited, more, user, rest, ignoresSomebody, asked } = given;
  const parts: RoomParts = { limited, [stateKey]: state, ...more };
  const body = kind === "invite" ? { invite_state: { events: state } } : inRoom(timeline, parts);
  return partOf(room, { [kind]: { [ROOM]: body } }, rest, { ...user, ...asked, ignoresSomebody });
}

function expectSound(room: DraftedRoom, parts: readonly ResponsePart[]): void {
  const start = room.batch();
  const { draft, writes, changes, ...facts } = fold(room, parts);
  const needed = numbersNeeded(parts);
  expect(room.batch() - start - 1).toBeLessThanOrEqual(needed.batches + needed.events + needed.chunks);
  expect(writes.events.length).toBeLessThanOrEqual(needed.events);
  expect(writes.chunks.length).toBeLessThanOrEqual(needed.chunks);
  const published = new Set(changes.map(({ batch }) => batch));
  expect(published.size).toBe(changes.length);
  const standing = writes.events.filter(({ orderKey }) => orderKey !== undefined);
  const { tokens, accountData, receipts, typing } = facts;
  const own = [...writes.memberships, ...writes.personal];
  const written = [
    ...standing,
    ...writes.placed,
    ...writes.state,
    ...own,
    ...tokens,
    ...accountData,
    ...receipts,
    ...typing,
  ];
  expect(written.filter(({ batch }) => !published.has(batch))).toEqual([]);
  expect(new Set(writes.events.map((each) => each.event.eventId)).size).toBe(writes.events.length);
  for (const { chunk, orderKey } of writes.events) expect(chunk === undefined).toBe(orderKey === undefined);
  room.store(draft, changes);
}

describe("whatever the sections say", () => {
  test("what readers find by its batch is published, every order key is given once, and numbers suffice", () => {
    const transactions = fc.array(fc.array(section, { minLength: 1, maxLength: 3 }), { maxLength: 4 });
    fc.assert(
      fc.property(transactions, (given) => {
        const room = new DraftedRoom();
        for (const each of given) {
          expectSound(
            room,
            each.map((part) => partFrom(room, part)),
          );
        }
        const keys = room.timeline().map(({ orderKey }) => orderKey);
        expect(new Set(keys).size).toBe(keys.length);
      }),
      { numRuns: 1_000 },
    );
  });
});
