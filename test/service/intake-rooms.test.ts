import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { ChangeFlag, ChangeStream } from "../../src/model/change.ts";
import { BEFORE_ALL } from "../../src/model/stream-position.ts";
import { IntakeStage, type StageDevice } from "../support/intake-stage.ts";
import {
  ALICE,
  BOB,
  create,
  inRoom,
  member,
  message,
  messages,
  name,
  state,
  visibility,
} from "../support/v2-events.ts";

let stage: IntakeStage;
let alice: StageDevice;
let bob: StageDevice;
let made = 0;

beforeAll(async () => {
  stage = await IntakeStage.open();
  alice = await stage.device(ALICE);
  bob = await stage.device(BOB);
  // First syncs of empty accounts: what follows goes on.
  for (const device of [alice, bob]) await stage.respond(device, {});
});
afterAll(() => stage[Symbol.asyncDispose]());

/** A room of its own for each test, with ids of its own. */
function newRoom() {
  made += 1;
  const tag = `.${made}`;
  const roomId = `!r${made}:test`;
  const join = (room: object) => ({ rooms: { join: { [roomId]: room } } });
  const ids = (...names: string[]) => messages(...names.map((each) => `$${each}${tag}`));
  return { roomId, tag, join, ids, line: async () => (await stage.line(roomId)).replaceAll(tag, "") };
}

const begin = (tag: string) => [create(`$create${tag}`), member(`$alice${tag}`, ALICE, "join")];

describe("a room", () => {
  test("is stored whole: events, state, columns and where it stands in lists", async () => {
    const { roomId, tag, join } = newRoom();
    const timeline = [
      ...begin(tag),
      name(`$n${tag}`, "Name"),
      state(`$e${tag}`, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }),
      visibility(`$v${tag}`, "joined"),
      message(`$m${tag}`, { origin_server_ts: 5_000, unsigned: { age: 3, prev_content: { a: 1 } } }),
    ];
    await stage.respond(alice, join(inRoom(timeline, { summary: { "m.joined_member_count": 1 }, prevBatch: "p1" })));
    expect(await stage.room(roomId)).toMatchObject({
      is_complete: true,
      quarantined: null,
      name: "Name",
      is_encrypted: true,
      history_visibility: 4,
      joined_count: 1,
      room_version: "11",
      activity_us: 5_000_000,
      activity_batch: null,
    });
    const [stored] = await stage.rows<{ body: Buffer; unsigned: Buffer; visibility: number }>(
      "SELECT body, unsigned, visibility FROM events WHERE event_id = $1",
      `$m${tag}`,
    );
    const { unsigned: _, ...served } = timeline.at(-1)!;
    expect(stored?.body.toString()).toBe(JSON.stringify(served));
    expect([stored?.unsigned.toString(), stored?.visibility]).toEqual(['{"prev_content":{"a":1}}', 4]);
    expect(await stage.current(roomId, "m.room.encryption")).toBe(`$e${tag}`);
    expect(
      await stage.rows("SELECT * FROM state_deltas d JOIN rooms r USING (room) WHERE r.room_id = $1", roomId),
    ).toEqual([]);
    const [chunk] = await stage.rows(
      "SELECT c.attested_for, c.continues, c.is_start FROM chunks c JOIN rooms r USING (room) WHERE r.room_id = $1",
      roomId,
    );
    expect(chunk).toEqual({ attested_for: null, continues: false, is_start: true });
    const tokens = await stage.rows(
      "SELECT t.token FROM batch_tokens t JOIN rooms r USING (room) WHERE r.room_id = $1",
      roomId,
    );
    expect(tokens).toEqual([{ token: "p1" }]);
    const after = await stage.rows(
      "SELECT t.token FROM response_tokens t JOIN events e USING (batch) WHERE e.event_id = $1",
      `$m${tag}`,
    );
    expect(after).toEqual([{ token: alice.since }]);
  });

  test("goes on: a message is one change, and state is logged with what it was", async () => {
    const { roomId, tag, join } = newRoom();
    await stage.respond(alice, join(inRoom([...begin(tag), name(`$n1${tag}`, "One")])));
    const before = stage.writer.position;
    await stage.respond(alice, join(inRoom([message(`$m${tag}`)])));
    expect(await stage.changes(before)).toEqual([
      {
        stream: ChangeStream.room,
        flags: ChangeFlag.activity | ChangeFlag.bump,
        room: roomId,
        user: null,
        device: null,
      },
    ]);
    expect(stage.announced.at(-1)).toBe(stage.writer.position);
    const [{ activity_batch: batch, last_batch: last }] = [(await stage.room(roomId))!];
    expect(batch).toBe(last);
    await stage.respond(alice, join(inRoom([name(`$n2${tag}`, "Two")])));
    const deltas = await stage.rows(
      `SELECT n.event_id AS now, p.event_id AS before FROM state_deltas d JOIN rooms r USING (room)
         JOIN events n ON n.nid = d.nid JOIN events p ON p.nid = d.prev_nid WHERE r.room_id = $1`,
      roomId,
    );
    expect(deltas).toEqual([{ now: `$n2${tag}`, before: `$n1${tag}` }]);
  });

  test("is the same for a second user, whose stream begins elsewhere and overlaps", async () => {
    const { roomId, tag, join, ids, line } = newRoom();
    await stage.respond(alice, join(inRoom([...begin(tag), member(`$bob${tag}`, BOB, "join"), ...ids("a", "b")])));
    await stage.respond(bob, join(inRoom([...ids("b", "c")], { limited: true, state: begin(tag) })));
    await stage.respond(alice, join(inRoom(ids("c", "d"))));
    expect(await line()).toBe("create alice bob a b c d");
    const [count] = await stage.rows(
      "SELECT count(*) FROM events e JOIN rooms r USING (room) WHERE r.room_id = $1",
      roomId,
    );
    expect(count).toEqual({ count: 7 });
    expect(await stage.membership(roomId, BOB)).toMatchObject({ membership: 1, since_event: `$b${tag}` });
  });

  test("has a hole after a gap, with the token before it; another stream fills it", async () => {
    const { roomId, tag, join, ids, line } = newRoom();
    await stage.respond(alice, join(inRoom([...begin(tag), ...ids("a")])));
    await stage.respond(bob, join(inRoom(ids("a"), { limited: true, state: begin(tag) })));
    await stage.respond(alice, join(inRoom(ids("x", "y"), { limited: true, prevBatch: "gap" })));
    expect(await line()).toBe("create alice a | x y");
    const tokens = await stage.rows(
      `SELECT e.event_id, t.token FROM batch_tokens t JOIN rooms r USING (room)
         JOIN events e ON e.room = t.room AND e.order_key = t.order_key WHERE r.room_id = $1 AND t.token = 'gap'`,
      roomId,
    );
    expect(tokens).toEqual([{ event_id: `$x${tag}`, token: "gap" }]);
    await stage.respond(alice, join(inRoom(ids("z"))));
    await stage.respond(bob, join(inRoom(ids("b", "c", "x", "y"))));
    expect(await line()).toBe("create alice a b c ~ x y z");
  });

  test("takes a late event in between, and a limited batch that overlaps as it comes", async () => {
    const { tag, join, ids, line } = newRoom();
    await stage.respond(alice, join(inRoom([...begin(tag), ...ids("a", "b")])));
    await stage.respond(bob, join(inRoom(ids("a", "late", "b", "c"), { limited: true, state: begin(tag) })));
    expect(await line()).toBe("create alice a late b c");
  });

  test("has runs for one reader alone while that ignores somebody, until another stream brings the same", async () => {
    const { roomId, tag, join, ids, line } = newRoom();
    const carol = await stage.device(`@carol${made}:test`);
    const list = { type: "m.ignored_user_list", content: { ignored_users: { "@m:test": {} } } };
    await stage.respond(carol, { account_data: { events: [list] } });
    await stage.respond(alice, join(inRoom([...begin(tag), ...ids("a")])));
    const attested = async () => {
      const text =
        "SELECT c.attested_for FROM chunks c JOIN rooms r USING (room) WHERE r.room_id = $1 ORDER BY c.chunk";
      return (await stage.rows(text, roomId)).map((row) => row.attested_for);
    };
    await stage.respond(carol, join(inRoom(ids("b", "c"), { state: begin(tag) })));
    expect([await line(), await attested()]).toEqual(["create alice a | b c", [null, carol.claim.userNid]]);
    await stage.respond(alice, join(inRoom(ids("b"))));
    expect([await line(), await attested()]).toEqual(["create alice a b ~ c", [null, carol.claim.userNid]]);
    await stage.respond(carol, join(inRoom(ids("d"))));
    await stage.respond(alice, join(inRoom(ids("b", "c", "d"), { limited: true })));
    expect([await line(), await attested()]).toEqual(["create alice a b c d", [null]]);
  });

  test("is not whole without its creation, and is then", async () => {
    const { roomId, tag, join, ids } = newRoom();
    await stage.respond(alice, join(inRoom(ids("a"), { limited: true, state: [name(`$n${tag}`, "Half")] })));
    expect(await stage.room(roomId)).toMatchObject({ is_complete: false, name: "Half" });
    await stage.respond(alice, join(inRoom(ids("b"), { limited: true, state: begin(tag) })));
    expect(await stage.room(roomId)).toMatchObject({ is_complete: true, name: "Half" });
  });

  test("may have an event id that another room has, too", async () => {
    const [one, other] = [newRoom(), newRoom()];
    await stage.respond(alice, one.join(inRoom([...begin(one.tag), message(`$same${made}`)])));
    await stage.respond(alice, other.join(inRoom([...begin(other.tag), message(`$same${made}`)])));
    expect([await stage.line(one.roomId), await stage.line(other.roomId)]).toEqual([
      expect.stringContaining(`same${made}`),
      expect.stringContaining(`same${made}`),
    ]);
  });
});

describe("state", () => {
  test("is not taken back by a slower stream, whether it echoes what was known or brings what was skipped", async () => {
    const { roomId, tag, join } = newRoom();
    await stage.respond(alice, join(inRoom([...begin(tag), name(`$one${tag}`, "One")])));
    await stage.respond(bob, join(inRoom([], { state: begin(tag) })));
    const asked = stage.writer.position;
    await stage.respond(alice, join(inRoom([name(`$three${tag}`, "Three")], { limited: true })));
    await stage.respond(bob, join(inRoom([name(`$one${tag}`, "One")])), { storedBefore: asked });
    expect(await stage.current(roomId, "m.room.name")).toBe(`$three${tag}`);
    await stage.respond(bob, join(inRoom([name(`$two${tag}`, "Two")])), { storedBefore: asked });
    expect([await stage.current(roomId, "m.room.name"), (await stage.room(roomId))?.name]).toEqual([
      `$three${tag}`,
      "Three",
    ]);
    await stage.respond(bob, join(inRoom([name(`$four${tag}`, "Four")])));
    expect((await stage.room(roomId))?.name).toBe("Four");
  });

  test("is what state_after says, under either name", async () => {
    const { roomId, tag, join } = newRoom();
    const fork = [name(`$lost${tag}`, "Lost")];
    await stage.respond(
      alice,
      join({ ...inRoom(fork), state_after: { events: [...begin(tag), name(`$won${tag}`, "Won")] } }),
    );
    expect((await stage.room(roomId))?.name).toBe("Won");
    const reset = { "org.matrix.msc4222.state_after": { events: [name(`$lost${tag}`, "Lost")] } };
    await stage.respond(alice, join({ ...inRoom([]), ...reset }));
    expect([(await stage.room(roomId))?.name, await stage.current(roomId, "m.room.name")]).toEqual([
      "Lost",
      `$lost${tag}`,
    ]);
  });
});

describe("the order of rooms", () => {
  test("is by the events' own time for what is made up for, and never goes back", async () => {
    const { roomId, tag, join } = newRoom();
    await stage.respond(alice, join(inRoom([...begin(tag), message(`$a${tag}`)])));
    await stage.respond(alice, join(inRoom([message(`$b${tag}`, { origin_server_ts: 9_000 })])), { poll: "catch-up" });
    expect(await stage.room(roomId)).toMatchObject({
      activity_us: 9_000_000,
      activity_batch: null,
      bump_us: 9_000_000,
    });
    await stage.respond(alice, join(inRoom([message(`$c${tag}`)])));
    const live = await stage.room(roomId);
    expect(live?.activity_batch).not.toBeNull();
    await stage.respond(alice, join(inRoom([message(`$d${tag}`, { origin_server_ts: 10_000 })])), { poll: "catch-up" });
    expect(await stage.room(roomId)).toMatchObject({
      activity_batch: live?.activity_batch,
      bump_batch: live?.bump_batch,
    });
  });

  test("puts the room with the newest event first, of those that one response brings", async () => {
    const [first, second] = [newRoom(), newRoom()];
    const rooms = [first, second].map(({ tag }, index) =>
      inRoom([...begin(tag), message(`$m${tag}`, { origin_server_ts: 9_000 - index })]),
    );
    await stage.respond(alice, { rooms: { join: { [first.roomId]: rooms[0], [second.roomId]: rooms[1] } } });
    const live = [first, second].map(({ tag }, index) =>
      inRoom([message(`$n${tag}`, { origin_server_ts: 20 - index })]),
    );
    await stage.respond(alice, { rooms: { join: { [first.roomId]: live[0], [second.roomId]: live[1] } } });
    const positions = await stage.rows(
      "SELECT r.room_id FROM rooms r JOIN changes c ON c.batch = r.activity_batch WHERE r.room_id = ANY($1) ORDER BY c.position",
      [first.roomId, second.roomId],
    );
    expect(positions.map((row) => row.room_id)).toEqual([second.roomId, first.roomId]);
  });
});

test("what is told again changes nothing and has no position", async () => {
  const { join, tag, ids } = newRoom();
  const room = join(
    inRoom([...begin(tag), ...ids("a", "b")], { prevBatch: "p", summary: { "m.joined_member_count": 1 } }),
  );
  await stage.respond(alice, room);
  const before = stage.writer.position;
  await stage.respond(alice, room);
  await stage.respond(alice, room, { storedBefore: BEFORE_ALL });
  expect(await stage.changes(before)).toEqual([]);
});
