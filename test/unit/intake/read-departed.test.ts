import { describe, expect, test } from "@jest/globals";
import type { ReadCall } from "../../../src/homeserver/get-as-user.ts";
import type { MessagesPage } from "../../../src/homeserver/room-reads.ts";
import type { ValueAnswer } from "../../../src/homeserver/value-reads.ts";
import { readDeparted } from "../../../src/intake/recall/read-departed.ts";
import type { RoomId, UserId } from "../../../src/model/ids.ts";
import { ALICE, BOB, CAROL, create, member, message, name } from "../../support/v2-events.ts";

const CALL = { token: "t" } as ReadCall;
const ROOM = "!room:test" as RoomId;
const raw = (value: unknown) => Buffer.from(JSON.stringify(value));
const found = (event: unknown): ValueAnswer => ({ kind: "found", raw: raw(event) });

const leave = (more: object = {}) => ({
  ...member("$leave", ALICE, "leave"),
  unsigned: { prev_content: { membership: "join" } },
  ...more,
});

interface Upstream {
  readonly own?: ValueAnswer;
  /** The same, asked again. */
  readonly ownAtLast?: ValueAnswer;
  readonly page?: Partial<MessagesPage> & { readonly events: readonly Buffer[] };
  readonly state?: readonly unknown[];
}

const PAGE = { events: [raw(leave()), raw(message("$1", { sender: BOB }))], start: "at-end", end: "older" };

async function read({ own = found(leave()), ownAtLast = own, page = PAGE, state = [create()] }: Upstream = {}) {
  const asked: string[] = [];
  const upstream = {
    timelineLimit: 20,
    values: {
      stateEvent: async () => {
        asked.push("own");
        return asked.length === 1 ? own : ownAtLast;
      },
    },
    rooms: {
      newestMessages: async () => {
        asked.push("messages");
        return { end: undefined, ...page };
      },
      currentState: async (_call: ReadCall, _room: RoomId, onEvent: (event: Buffer) => void) => {
        asked.push("state");
        for (const event of state) onEvent(raw(event));
      },
    },
  };
  const room = await readDeparted(upstream, CALL, { roomId: ROOM, userId: ALICE as UserId });
  return { room, asked };
}

test("a room is read up to its user's departure, oldest event first, with state of then and both tokens", async () => {
  const members = [BOB, CAROL].map((userId) => member(`$of ${userId}`, userId, "join"));
  const { room, asked } = await read({ state: [create(), name("$n", "then"), leave(), ...members] });
  expect(asked).toEqual(["own", "messages", "state", "own"]);
  expect(room).toMatchObject({ token: "at-end", section: { kind: "leave", prevBatch: "older", limited: true } });
  expect(room?.section.timeline.map(({ eventId }) => eventId)).toEqual(["$1", "$leave"]);
  // Of members what the timeline needs.
  expect(room?.section.state.map(({ eventId }) => eventId)).toEqual(["$create", "$n", "$leave", `$of ${BOB}`]);
});

describe("nothing else is asked", () => {
  test.each([
    ["of who is refused", { kind: "refused", status: 403, errcode: "M_FORBIDDEN" }],
    ["of who has no membership", { kind: "absent" }],
    ["of who is in the room", found(member("$join", ALICE, "join"))],
    ["of who is invited", found(member("$invite", ALICE, "invite"))],
    ["where the answer is of somebody else", found(member("$leave", BOB, "leave"))],
    ["where the answer is no member event", found(name("$leave", "leave"))],
  ] as const)("%s", async (_who, own) => {
    expect(await read({ own })).toEqual({ room: undefined, asked: ["own"] });
  });
});

describe("nothing is told", () => {
  test.each([
    ["where messages go on after the departure", { events: [raw(message("$later")), ...PAGE.events] }],
    ["where messages do not reach the departure", { events: [raw(message("$1"))] }],
    ["where there are none", { events: [] }],
    ["where they end with another departure", { events: [raw(leave({ event_id: "$other" }))] }],
    ["of who was only invited", { events: [raw(leave({ unsigned: { prev_content: { membership: "invite" } } }))] }],
    ["where it is not known what the user was before", { events: [raw(leave({ unsigned: {} }))] }],
  ])("%s", async (_where, page) => {
    const { room, asked } = await read({ page });
    expect([room, asked]).toEqual([undefined, ["own", "messages"]]);
  });

  test.each([
    ["is back", found(member("$join", ALICE, "join"))],
    ["was there again", found(leave({ event_id: "$again" }))],
    ["has forgotten the room", { kind: "refused", status: 403, errcode: "M_FORBIDDEN" }],
  ] as const)("of who %s by the time it was read", async (_who, ownAtLast) => {
    expect((await read({ ownAtLast })).room).toBeUndefined();
  });

  test("where events are of another room", async () => {
    expect((await read({ state: [{ ...create(), room_id: "!other:test" }] })).room).toBeUndefined();
  });

  test("where state cannot be stored", async () => {
    expect((await read({ state: [{ ...create(), event_id: 7 }] })).room).toBeUndefined();
  });
});
