import { expect, test } from "@jest/globals";
import type { ReadCall } from "../../../src/homeserver/get-as-user.ts";
import type { MessagesPage } from "../../../src/homeserver/room-reads.ts";
import { readHistory } from "../../../src/intake/history/read-history.ts";
import type { HistoryWant } from "../../../src/model/history-want.ts";
import type { RoomId, RoomNid } from "../../../src/model/ids.ts";
import { UpstreamError } from "../../../src/model/upstream-error.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { create, message, state } from "../../support/v2-events.ts";

const ROOM = "!room:test" as RoomId;
const CALL = { token: "t" } as ReadCall;

type Given = { readonly chunk?: readonly object[]; readonly end?: string } | Error;

/** What is read with these pages, in turn, and the requests for them. */
async function read(events: number, ...pages: readonly Given[]) {
  const asked: string[] = [];
  const left = [...pages];
  const upstream = {
    messagesBefore: async (_call: ReadCall, _room: RoomId, { from, limit }: { from: string; limit: number }) => {
      asked.push(`${from} ${limit}`);
      const page = left.shift();
      if (page === undefined || page instanceof Error) throw page ?? new Error("no page");
      const { chunk = [], end } = page;
      return { events: chunk.map((event) => Buffer.from(JSON.stringify(event))), end } satisfies MessagesPage;
    },
  };
  const want: HistoryWant = {
    room: 1 as RoomNid,
    roomId: ROOM,
    token: "t0",
    anchor: undefined,
    visibility: Visibility.shared,
    events,
  };
  const bad: string[] = [];
  const section = await readHistory(upstream, CALL, want, (event) => bad.push(event.bad));
  return { ids: section.timeline.map(({ eventId }) => eventId), section, asked, bad };
}

const newestFirst = (...ids: readonly string[]) => ids.map((id) => message(id));

test("a page is read as the part of a stream that ends at the token, oldest event first", async () => {
  const { ids, section, asked } = await read(2, { chunk: newestFirst("$2", "$1"), end: "t1" });
  expect([ids, asked]).toEqual([["$1", "$2"], ["t0 2"]]);
  expect(section).toMatchObject({ kind: "join", roomId: ROOM, state: [], isStateAfter: true, prevBatch: "t1" });
});

test("pages follow each other until there are enough events, and never more than a few", async () => {
  const short = await read(3, { chunk: newestFirst("$3"), end: "t1" }, { chunk: newestFirst("$2", "$1"), end: "t2" });
  expect([short.ids, short.asked, short.section.prevBatch]).toEqual([["$1", "$2", "$3"], ["t0 3", "t1 2"], "t2"]);
  const empty = await read(3, { end: "t1" }, { chunk: newestFirst("$1"), end: "t2" }, { end: "t3" });
  expect([empty.ids, empty.asked, empty.section.prevBatch]).toEqual([["$1"], ["t0 3", "t1 3", "t2 2"], "t3"]);
});

test.each([
  ["without an end", { chunk: newestFirst("$1") }],
  ["with an end that leads nowhere", { chunk: newestFirst("$1"), end: "t0" }],
])("what has a page %s is the last", async (_name, page) => {
  const { ids, asked, section } = await read(5, page);
  expect([ids, asked, section.prevBatch]).toEqual([["$1"], ["t0 5"], undefined]);
});

test("of more events than were asked for the newest are taken, and where the rest begins is not known", async () => {
  const { ids, asked, section } = await read(2, { chunk: newestFirst("$3", "$2", "$1"), end: "t1" });
  expect([ids, asked, section.prevBatch]).toEqual([["$2", "$3"], ["t0 2"], undefined]);
});

test("a first page that fails fails the whole, a later one ends it", async () => {
  const failure = new UpstreamError("away", { kind: "unreachable" });
  await expect(read(5, failure)).rejects.toBe(failure);
  const { ids, section } = await read(5, { chunk: newestFirst("$1"), end: "t1" }, failure);
  expect([ids, section.prevBatch]).toEqual([["$1"], "t1"]);
});

test("events of another room are refused, and none of them is taken", async () => {
  const foreign = { ...message("$1"), room_id: "!other:test" };
  const own = { ...message("$2"), room_id: ROOM };
  await expect(read(5, { chunk: [own, foreign] })).rejects.toMatchObject({ fault: { kind: "malformed" } });
  expect((await read(5, { chunk: [own] })).ids).toEqual(["$2"]);
});

test("what cannot be stored is left out, and sets no room aside", async () => {
  const chunk = [message("$2"), state("no id", "m.room.name"), 7 as unknown as object, create()];
  const { ids, bad, section } = await read(5, { chunk, end: "t1" });
  expect(ids).toEqual(["$create", "$2"]);
  expect(bad).toHaveLength(2);
  expect([section.fault, section.prevBatch]).toEqual([undefined, "t1"]);
});
