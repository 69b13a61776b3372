import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { ChangeStream } from "../../src/model/change.ts";
import { IntakeStage, type StageDevice } from "../support/intake-stage.ts";
import { ALICE, BOB, create, inRoom, member, type RoomParts } from "../support/v2-events.ts";

let stage: IntakeStage;
let alice: StageDevice;
let tablet: StageDevice;
let bob: StageDevice;
let roomId: string;
let before: number;
let made = 0;

beforeAll(async () => {
  stage = await IntakeStage.open();
  alice = await stage.device(ALICE);
  tablet = await stage.device(ALICE, "TABLET");
  bob = await stage.device(BOB);
  for (const device of [alice, tablet, bob]) await stage.respond(device, {});
});
afterAll(() => stage[Symbol.asyncDispose]());

beforeEach(async () => {
  made += 1;
  roomId = `!r${made}:test`;
  const begin = [create(`$create${made}`), member(`$alice${made}`, ALICE, "join")];
  for (const device of [alice, bob]) await inside(device, { state: begin });
  before = stage.writer.position;
});

const inside = (device: StageDevice, parts: RoomParts, storedBefore = stage.writer.position) =>
  stage.respond(device, { rooms: { join: { [roomId]: inRoom([], parts) } } }, { storedBefore });
const news = async () => (await stage.changes(before)).map(({ stream, room, user }) => ({ stream, room, user }));

describe("account data", () => {
  const event = (type: string, content: object) => ({ type, content });
  const global = (device: StageDevice, type: string, content: object, storedBefore = stage.writer.position) =>
    stage.respond(device, { account_data: { events: [event(type, content)] } }, { storedBefore });
  const stored = async (type: string) =>
    (
      await stage.rows<{ body: Buffer; room: string | null }>(
        "SELECT a.body, r.room_id AS room FROM account_data a LEFT JOIN rooms r USING (room) WHERE a.type = $1 ORDER BY r.room_id",
        type,
      )
    ).map(({ body, room }) => [room, String(body)]);

  test("of a room and of none are kept apart, byte for byte, each a change for its user", async () => {
    const type = `org.example.${made}`;
    await stage.respond(alice, {
      account_data: { events: [event(type, { n: 1 })] },
      rooms: {
        join: { [roomId]: inRoom([], { account_data: { events: [event(type, { n: 2 }), event("m.tag", {})] } }) },
      },
    });
    expect(await stored(type)).toEqual([
      [roomId, `{"type":"${type}","content":{"n":2}}`],
      [null, `{"type":"${type}","content":{"n":1}}`],
    ]);
    expect(await news()).toEqual([
      { stream: ChangeStream.accountData, room: roomId, user: ALICE },
      { stream: ChangeStream.accountData, room: null, user: ALICE },
    ]);
  });

  test("are no news when they are as they were", async () => {
    await global(alice, "m.same", { made });
    const after = stage.writer.position;
    await global(alice, "m.same", { made });
    await global(tablet, "m.same", { made });
    expect(await stage.changes(after)).toEqual([]);
  });

  test("are not taken back by a slower stream of another device", async () => {
    const type = `org.example.${made}`;
    await global(alice, type, { n: 1 });
    const asked = stage.writer.position;
    await global(alice, type, { n: 2 });
    await global(tablet, type, { n: 1 }, asked);
    expect(await stored(type)).toEqual([[null, `{"type":"${type}","content":{"n":2}}`]]);
    await global(tablet, type, { n: 3 });
    expect(await stored(type)).toEqual([[null, `{"type":"${type}","content":{"n":3}}`]]);
  });

  test("of the same type twice in one response count as the last one", async () => {
    const type = `org.example.${made}`;
    await stage.respond(alice, { account_data: { events: [event(type, { n: 1 }), event(type, { n: 2 })] } });
    expect(await stored(type)).toEqual([[null, `{"type":"${type}","content":{"n":2}}`]]);
  });
});

describe("receipts", () => {
  const receipt = (eventId: string, ts: number, more: object = {}, type = "m.read", user = BOB) => ({
    type: "m.receipt",
    content: { [eventId]: { [type]: { [user]: { ts, ...more } } } },
  });
  const tell = (device: StageDevice, ...events: object[]) => inside(device, { ephemeral: { events } });
  const stored = async () =>
    await stage.rows(
      `SELECT p.user_id, p.receipt_type, p.thread_id, p.event_id, p.ts FROM receipts p JOIN rooms r USING (room)
        WHERE r.room_id = $1 ORDER BY p.receipt_type, p.thread_id`,
      roomId,
    );

  test("move forward only, by their time", async () => {
    await tell(alice, receipt("$a", 10));
    await tell(alice, receipt("$b", 20));
    expect(await stored()).toMatchObject([{ user_id: BOB, event_id: "$b", ts: 20 }]);
    const after = stage.writer.position;
    await tell(bob, receipt("$a", 10));
    await tell(bob, receipt("$c", 20));
    expect(await stored()).toMatchObject([{ event_id: "$b", ts: 20 }]);
    expect(await stage.changes(after)).toEqual([]);
    expect(await news()).toEqual([
      { stream: ChangeStream.receipts, room: roomId, user: null },
      { stream: ChangeStream.receipts, room: roomId, user: null },
    ]);
  });

  test("are kept apart by type and thread, the newest of each", async () => {
    const threaded = receipt("$d", 5, { thread_id: "main" });
    await tell(
      alice,
      receipt("$a", 10),
      receipt("$b", 30),
      receipt("$c", 20),
      threaded,
      receipt("$e", 1, {}, "m.read.private"),
    );
    expect(await stored()).toMatchObject([
      { receipt_type: "m.read", thread_id: "", event_id: "$b" },
      { receipt_type: "m.read", thread_id: "main", event_id: "$d" },
      { receipt_type: "m.read.private", thread_id: "", event_id: "$e" },
    ]);
    expect(await news()).toHaveLength(1);
  });
});

describe("typing", () => {
  const typing = (...userIds: string[]) => ({
    ephemeral: { events: [{ type: "m.typing", content: { user_ids: userIds } }] },
  });
  const stored = async () =>
    await stage.rows<{ user_ids: string[]; age: number; position: number }>(
      `SELECT t.user_ids, extract(epoch FROM now() - t.heard_at)::float8 AS age, c.position
         FROM typing t JOIN rooms r USING (room) LEFT JOIN changes c USING (batch) WHERE r.room_id = $1`,
      roomId,
    );
  const passes = (seconds: number) =>
    stage.rows("UPDATE typing SET heard_at = heard_at - $1 * interval '1 second'", seconds);

  test("is replaced whole, and news when it differs, whatever the order", async () => {
    await inside(alice, typing(BOB, ALICE));
    await inside(bob, typing(ALICE, BOB));
    expect(await stored()).toMatchObject([{ user_ids: [ALICE, BOB] }]);
    expect(await news()).toEqual([{ stream: ChangeStream.typing, room: roomId, user: null }]);
    await inside(alice, typing());
    expect(await stored()).toMatchObject([{ user_ids: [] }]);
    expect(await news()).toHaveLength(2);
  });

  test("that goes on was heard again", async () => {
    await inside(alice, typing(BOB));
    await passes(30);
    await inside(alice, typing(BOB));
    expect((await stored())[0]?.age).toBeLessThan(20);
    expect(await news()).toHaveLength(1);
  });

  test("that was not heard of for longer than it lasts is news when it is heard again, at a position of its own", async () => {
    await inside(alice, typing(BOB));
    await passes(46);
    const after = stage.writer.position;
    await inside(alice, typing(BOB));
    const [row] = await stored();
    expect([row?.user_ids, (row?.position ?? 0) > after]).toEqual([[BOB], true]);
    expect(await news()).toHaveLength(2);
  });

  test("that ends long after it was heard of is news: some may have been told of it alone", async () => {
    await inside(alice, typing(BOB));
    await passes(46);
    await inside(alice, typing());
    await passes(46);
    await inside(alice, typing());
    expect((await stored())[0]?.user_ids).toEqual([]);
    expect(await news()).toHaveLength(2);
  });
});
