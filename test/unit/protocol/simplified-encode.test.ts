import { expect, test } from "@jest/globals";
import type { SyncRequest } from "../../../src/engine/request.ts";
import type { ExtensionsResponse, ListAnswer, RoomAnswer, TimelineAnswer } from "../../../src/engine/response.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { StateEvent } from "../../../src/model/stored-event.ts";
import { createSimplifiedMsc3575 } from "../../../src/protocol/simplified-msc3575/simplified-msc3575.ts";
import { alice, bob, list, request, TestWorld } from "../../support/engine.ts";
import { NO_EXTENSION } from "../../support/engine-nothing.ts";

const roomId = "!room:example.org" as RoomId;

const answer = (more: Partial<RoomAnswer> = {}): RoomAnswer => ({
  roomId,
  membership: Membership.join,
  isInitial: false,
  name: undefined,
  avatar: undefined,
  heroes: undefined,
  isDm: false,
  joinedCount: undefined,
  invitedCount: undefined,
  notificationCount: 0,
  highlightCount: 0,
  bumpStamp: undefined,
  requiredState: [],
  timeline: undefined,
  isTimelineExpanded: false,
  strippedState: undefined,
  ...more,
});

const timeline = (more: Partial<TimelineAnswer> = {}): TimelineAnswer => ({
  events: [],
  limited: false,
  prevBatch: undefined,
  numLive: 0,
  ...more,
});

interface Given {
  readonly rooms?: readonly RoomAnswer[];
  readonly lists?: Readonly<Record<string, ListAnswer>>;
  readonly asked?: SyncRequest;
  readonly withOps?: boolean;
  readonly extensions?: Partial<ExtensionsResponse>;
}

function pieces({ rooms = [], lists = {}, asked = request(), withOps = false, ...given }: Given): readonly Buffer[] {
  const dialect = createSimplifiedMsc3575({ maxTimelineLimit: 50, withOps });
  const extensions = { ...NO_EXTENSION, ...given.extensions };
  return dialect.encode({ lists: new Map(Object.entries(lists)), rooms, extensions }, 'po"s', asked);
}

const encode = (given: Given) => JSON.parse(Buffer.concat(pieces(given)).toString());

const encodeRoom = (more: Partial<RoomAnswer>, asked?: SyncRequest) =>
  encode({ rooms: [answer(more)], ...(asked === undefined ? {} : { asked }) }).rooms[roomId];

test("an answer to a request without lists has no lists, and always rooms and extensions", () => {
  expect(encode({})).toEqual({ pos: 'po"s', rooms: {}, extensions: {} });
});

test("every requested list has its count", () => {
  const asked = request({ all: list("all"), __proto__: list("all") });
  const lists = { all: { count: 3, windows: [] } };
  expect(encode({ asked, lists }).lists).toEqual({ all: { count: 3 } });
});

test("a list's key is only a text", () => {
  const asked = request({ all: list("all") });
  const lists = JSON.parse('{"__proto__":{"count":1,"windows":[]},"\\"":{"count":2,"windows":[]}}');
  const text = Buffer.concat(pieces({ asked, lists })).toString();
  expect(text).toContain('"lists":{"__proto__":{"count":1},"\\"":{"count":2}}');
});

test("list operations are sent where they are switched on: one for each range as it was asked for", () => {
  const asked = request({ all: list([[0, 99]]), none: list([]) });
  const lists = {
    all: { count: 1, windows: [{ range: { first: 0, last: 99 }, roomIds: [roomId] }] },
    none: { count: 1, windows: [] },
  };
  expect(encode({ asked, lists, withOps: true }).lists).toEqual({
    all: { count: 1, ops: [{ op: "SYNC", range: [0, 99], room_ids: [roomId] }] },
    none: { count: 1, ops: [] },
  });
});

test("an entry without news has its unread counts alone", () => {
  expect(encodeRoom({})).toEqual({ notification_count: 0, highlight_count: 0 });
});

test("an entry has what the engine says, under the names of the dialect", () => {
  const heroes = [
    { userId: bob, displayName: "Bo", avatarUrl: "mxc://x/y" },
    { userId: alice, displayName: undefined, avatarUrl: undefined },
  ];
  const fields = {
    isInitial: true,
    name: 'The "room"',
    avatar: "mxc://x/z",
    heroes,
    joinedCount: 2,
    invitedCount: 0,
    notificationCount: 5,
    highlightCount: 1,
    bumpStamp: 1_766_000_000_000_000,
    timeline: timeline({ limited: true, prevBatch: "t1", numLive: 2 }),
    isTimelineExpanded: true,
  };
  expect(encodeRoom(fields)).toEqual({
    initial: true,
    name: 'The "room"',
    avatar: "mxc://x/z",
    heroes: [{ user_id: bob, displayname: "Bo", avatar_url: "mxc://x/y" }, { user_id: alice }],
    joined_count: 2,
    invited_count: 0,
    notification_count: 5,
    highlight_count: 1,
    bump_stamp: 1_766_000_000_000_000,
    unstable_expanded_timeline: true,
    limited: true,
    prev_batch: "t1",
    num_live: 2,
  });
});

test("a removed avatar is null, and no other field ever is", () => {
  expect(encodeRoom({ avatar: null, timeline: timeline() })).toEqual({
    avatar: null,
    notification_count: 0,
    highlight_count: 0,
    limited: false,
    num_live: 0,
  });
});

test.each([-1, 1.5, Number.NaN, 2 ** 60])("a count of %d does not make clients drop the answer", (value) => {
  const counts = { joinedCount: value, invitedCount: value, notificationCount: value, highlightCount: value };
  expect(Object.values(encodeRoom({ ...counts, bumpStamp: value }))).toEqual([0, 0, 0, 0, 0]);
});

test("an invite has its stripped state, and one without any is an invite all the same", () => {
  const membership = Membership.invite;
  const strippedState = Buffer.from('[{"type":"m.room.name"}]');
  expect(encodeRoom({ membership, isInitial: true, strippedState })).toEqual({
    initial: true,
    notification_count: 0,
    highlight_count: 0,
    invite_state: [{ type: "m.room.name" }],
  });
  expect(encodeRoom({ membership: Membership.knock }).invite_state).toEqual([]);
});

function event(unsigned?: string, body?: string) {
  const made = new TestWorld().emptyRoom().message(alice);
  return {
    ...made,
    unsigned: unsigned === undefined ? undefined : Buffer.from(unsigned),
    body: body === undefined ? made.body : Buffer.from(body),
  };
}

test.each<readonly [string, string | undefined, string | undefined, object | undefined]>([
  ["nothing", undefined, undefined, undefined],
  ["what is stored", '{"age":5}', undefined, { age: 5 }],
  ["the transaction id", undefined, 't"1', { transaction_id: 't"1' }],
  ["both", '{"age":5} ', "t1", { age: 5, transaction_id: "t1" }],
  ["the transaction id beside an empty object", "{ }", "t1", { transaction_id: "t1" }],
])("an event's unsigned is %s", (_name, unsigned, transactionId, expected) => {
  const shown = { event: event(unsigned), transactionId };
  const [got] = encodeRoom({ timeline: timeline({ events: [shown] }) }).timeline;
  expect(got).toEqual({ ...JSON.parse(shown.event.body.toString()), ...(expected && { unsigned: expected }) });
});

test.each(["{}", "{ }", '{"a":{}}', '{"a":{} }\n', '{"a":"{"}'])("unsigned goes into a body written as %j", (body) => {
  const shown = { event: event('{"age":5}', body), transactionId: undefined };
  const [got] = encodeRoom({ timeline: timeline({ events: [shown] }) }).timeline;
  expect(got).toEqual({ ...JSON.parse(body), unsigned: { age: 5 } });
});

test("state and timeline keep their order", () => {
  const room = new TestWorld().emptyRoom();
  const state = [room.setState("m.room.create"), room.setState("m.room.name")] as StateEvent[];
  const events = [room.message(), room.message()].map((each) => ({ event: each, transactionId: undefined }));
  const got = encodeRoom({ requiredState: state, timeline: timeline({ events }) });
  expect(got.required_state.map((each: { event_id: string }) => each.event_id)).toEqual(state.map((e) => e.eventId));
  expect(got.timeline.map((each: { event_id: string }) => each.event_id)).toEqual(events.map((e) => e.event.eventId));
});

test("small pieces are joined, and large bodies are spliced in without a copy", () => {
  const small = event();
  const large = event(undefined, JSON.stringify({ type: "m.room.message", content: { body: "é".repeat(10_000) } }));
  const rooms = Array.from({ length: 200 }, (_, index) =>
    answer({
      roomId: `!${index}` as RoomId,
      timeline: timeline({
        events: [small, small, index === 100 ? large : small].map((each) => ({
          event: each,
          transactionId: undefined,
        })),
      }),
    }),
  );
  const written = pieces({ rooms });
  expect(written.length).toBeLessThan(40);
  expect(written).toContain(large.body);
  const { rooms: got } = JSON.parse(Buffer.concat(written).toString());
  expect(Object.keys(got)).toHaveLength(200);
  expect(got["!100"].timeline[2].content.body).toHaveLength(10_000);
});

test("the timeline is limited for a client without conn_id where it is expanded, so that it removes what it has", () => {
  const expanded = { isTimelineExpanded: true, timeline: timeline() };
  expect(encodeRoom(expanded, request({}, new Map(), { connId: "" })).limited).toBe(true);
  expect(encodeRoom(expanded).limited).toBe(false);
  expect(encodeRoom({ timeline: timeline() }, request({}, new Map(), { connId: "" })).limited).toBe(false);
});
