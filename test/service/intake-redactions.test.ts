import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { ChangeFlag, ChangeStream } from "../../src/model/change.ts";
import { everyTable } from "../support/every-table.ts";
import { IntakeStage, type StageDevice } from "../support/intake-stage.ts";
import { type Answer, READERS, RedactionStreams, redactionStep, VERSIONS } from "../support/redaction-streams.ts";
import { ALICE, BOB, inRoom, member, message, state, type V2Event } from "../support/v2-events.ts";

/** Each takes a few dozen transactions. */
const RUNS = 25;

let stage: IntakeStage;
let alice: StageDevice;
let bob: StageDevice;
let rooms = 0;

beforeAll(async () => {
  stage = await IntakeStage.open();
  alice = await stage.device(ALICE);
  bob = await stage.device(BOB);
  for (const device of [alice, bob]) await stage.respond(device, {});
});
afterAll(() => stage[Symbol.asyncDispose]());

const SECRET = "do not keep me";

const secret = (eventId: string, more: Partial<V2Event> = {}) =>
  message(eventId, { content: { body: SECRET }, ...more });
const redact = (eventId: string, redacts: string, content: object = {}): V2Event =>
  message(eventId, { type: "m.room.redaction", content: { redacts, ...content } });
/** As a homeserver serves it after its redaction. */
const pruned = (event: V2Event, by: V2Event): V2Event => ({
  ...event,
  content: {},
  unsigned: { redacted_because: by },
});

interface StoredRow {
  readonly body: string;
  readonly because: string | null;
}

/** A room of its own, with what is stored of its events. */
async function newRoom(version = "11") {
  rooms += 1;
  const roomId = `!redactions${rooms}:test`;
  const respond = async (
    device: StageDevice,
    timeline: readonly V2Event[],
    more: Parameters<typeof inRoom>[1] = {},
  ) => {
    await stage.respond(device, { rooms: { join: { [roomId]: inRoom(timeline, more) } } });
  };
  const stored = async (eventId: string): Promise<StoredRow | undefined> => {
    const [row] = await stage.rows<StoredRow>(
      `SELECT convert_from(e.body, 'UTF8') AS body, convert_from(e.unsigned, 'UTF8')::json->'redacted_because'->>'event_id'
              AS because
         FROM events e JOIN rooms r USING (room) WHERE r.room_id = $1 AND e.event_id = $2`,
      roomId,
      eventId,
    );
    return row;
  };
  const content = async (eventId: string) => JSON.parse((await stored(eventId))?.body ?? "{}").content;
  await respond(alice, [state("$create", "m.room.create", { room_version: version }), member("$alice", ALICE, "join")]);
  return { roomId, respond, stored, content };
}

describe("a redaction", () => {
  test("rewrites a stored message at once; who has the room in memory forgets it", async () => {
    const { respond, stored } = await newRoom();
    await respond(alice, [secret("$m")]);
    const before = stage.writer.position;
    await respond(bob, [redact("$r", "$m", { reason: "why" })], { state: [member("$bob", BOB, "join")] });
    const { content: _, ...rest } = secret("$m");
    expect(JSON.parse((await stored("$m"))?.body ?? "")).toEqual({ ...rest, content: {} });
    expect((await stored("$m"))?.because).toBe("$r");
    const [change] = (await stage.changes(before)).filter(({ stream }) => stream === ChangeStream.room);
    expect(Number(change?.flags) & ChangeFlag.history).toBe(ChangeFlag.history);
  });

  test.each(["timeline", "state", "after"] as const)("is kept for what comes later, as %s", async (where) => {
    const { respond, content, stored } = await newRoom();
    await respond(alice, [redact("$r", "$n")]);
    const late = state("$n", "m.room.topic", { topic: SECRET });
    await respond(
      bob,
      where === "timeline" ? [late] : [message("$m")],
      where === "timeline" ? {} : { [where]: [late] },
    );
    expect([await content("$n"), (await stored("$n"))?.because]).toEqual([{}, "$r"]);
  });

  test("and what it redacts may come together, in either order", async () => {
    const { respond, content } = await newRoom();
    await respond(alice, [secret("$a"), redact("$ra", "$a"), redact("$rb", "$b"), secret("$b")]);
    expect([await content("$a"), await content("$b")]).toEqual([{}, {}]);
  });

  test("follows the room's version in what it redacts and what stays", async () => {
    const { respond, content } = await newRoom("5");
    await respond(alice, [state("$aliases", "m.room.aliases", { aliases: ["#a:test"], x: SECRET }), secret("$m")]);
    await respond(alice, [redact("$inside", "$m"), { ...redact("$beside", "$m"), redacts: "$aliases" } as V2Event]);
    expect(await content("$aliases")).toEqual({ aliases: ["#a:test"] });
    expect(await content("$m")).toEqual({ body: SECRET });
  });

  test("never reaches into another room", async () => {
    const [one, other, third] = [await newRoom(), await newRoom(), await newRoom()];
    await one.respond(alice, [secret("$same")]);
    await other.respond(alice, [redact("$r", "$same")]);
    expect(await one.content("$same")).toEqual({ body: SECRET });
    await other.respond(alice, [secret("$same")]);
    expect(await other.content("$same")).toEqual({});
    // It has redactions of its own, so that they are looked up.
    await third.respond(alice, [redact("$own", "$another")]);
    await third.respond(alice, [secret("$same")]);
    expect(await third.content("$same")).toEqual({ body: SECRET });
  });

  test("of the creation, of itself, or of no event changes nothing", async () => {
    const { respond, content, roomId } = await newRoom("10");
    const redacts = (eventId: string, target: unknown) =>
      message(eventId, { type: "m.room.redaction", content: { reason: SECRET }, redacts: target } as Partial<V2Event>);
    await respond(alice, [redacts("$r1", "$create"), redacts("$r2", "$r2"), redacts("$r3", 5), redacts("$r4", "x")]);
    expect(await content("$create")).toEqual({ room_version: "10" });
    for (const eventId of ["$r1", "$r2", "$r3", "$r4"]) expect(await content(eventId)).toEqual({ reason: SECRET });
    expect(await stage.room(roomId)).toMatchObject({ room_version: "10", quarantined: null });
  });

  test("that comes a thousand times is stored once, and the first of a thousand others counts", async () => {
    const { respond, stored, roomId } = await newRoom();
    await respond(alice, [secret("$m")]);
    const many = Array.from({ length: 1_000 }, (_, index) => redact(`$r${index}`, "$m"));
    await respond(alice, many);
    for (let times = 0; times < 3; times += 1) await respond(bob, [...many, ...many]);
    expect((await stored("$m"))?.because).toBe("$r0");
    const text = "SELECT x.event_id, x.redaction FROM redactions x JOIN rooms r USING (room) WHERE r.room_id = $1";
    expect(await stage.rows(text, roomId)).toEqual([{ event_id: "$m", redaction: "$r0" }]);
    const before = stage.writer.position;
    await respond(alice, many);
    expect((await stage.changes(before)).filter(({ stream }) => stream === ChangeStream.room)).toEqual([]);
  });
});

describe("a copy of an event", () => {
  test("in redacted form replaces what is stored, and a whole one never does", async () => {
    const { respond, content, stored } = await newRoom();
    const by = redact("$r", "$m");
    await respond(alice, [secret("$m")]);
    await respond(bob, [pruned(secret("$m"), by)]);
    expect([await content("$m"), (await stored("$m"))?.because]).toEqual([{}, "$r"]);
    await respond(alice, [secret("$m")]);
    expect(await content("$m")).toEqual({});
  });

  test("in redacted form is stored as it is, without what is its reader's alone", async () => {
    const { respond, stored } = await newRoom();
    const by = { ...redact("$r", "$m"), unsigned: { transaction_id: "personal", age: 1 } };
    await respond(alice, [pruned(secret("$m"), by)]);
    const [row] = await stage.rows<{ unsigned: string }>(
      "SELECT convert_from(unsigned, 'UTF8') AS unsigned FROM events WHERE unsigned = $1",
      Buffer.from(JSON.stringify({ redacted_because: redact("$r", "$m") })),
    );
    expect([row === undefined, (await stored("$m"))?.because]).toEqual([false, "$r"]);
  });
});

describe("state that is redacted", () => {
  test("is told anew, and the room's columns follow; encryption stays", async () => {
    const { roomId, respond } = await newRoom();
    await respond(alice, [
      state("$name", "m.room.name", { name: SECRET }),
      state("$avatar", "m.room.avatar", { url: SECRET }),
      state("$encryption", "m.room.encryption", { algorithm: SECRET }),
      state("$visibility", "m.room.history_visibility", { history_visibility: "joined" }),
      state("$tombstone", "m.room.tombstone", { replacement_room: SECRET }),
    ]);
    const [was] = await stage.rows(
      "SELECT s.batch FROM current_state s JOIN events e USING (nid) WHERE e.event_id = '$name'",
    );
    const before = stage.writer.position;
    const targets = ["$name", "$avatar", "$encryption", "$visibility", "$tombstone"];
    await respond(
      alice,
      targets.map((target) => redact(`$r${target.slice(1)}`, target)),
    );
    expect(await stage.room(roomId)).toMatchObject({
      name: null,
      avatar: null,
      is_encrypted: true,
      history_visibility: 4,
      tombstone_successor: null,
    });
    const told = await stage.rows<{ event_id: string }>(
      `SELECT e.event_id FROM state_deltas d JOIN changes c USING (batch) JOIN events e ON e.nid = d.nid
        WHERE c.position > $1 AND d.prev_nid = d.nid`,
      before,
    );
    expect(told.map(({ event_id: eventId }) => eventId).sort()).toEqual([...targets].sort());
    const [change] = await stage.changes(before);
    const wanted = ChangeFlag.history | ChangeFlag.state | ChangeFlag.columns;
    expect(Number(change?.flags) & wanted).toBe(wanted);
    // What became current, and when, did not change: claims are compared with it.
    expect(
      await stage.rows("SELECT s.batch FROM current_state s JOIN events e USING (nid) WHERE e.event_id = '$name'"),
    ).toEqual([was]);
  });

  test("is redacted in what repeats it, stored before or after", async () => {
    const { respond } = await newRoom();
    const repeating = (eventId: string, replaces: string, content: object) =>
      state(
        eventId,
        "m.room.member",
        { membership: "leave" },
        { state_key: BOB, unsigned: { replaces_state: replaces, prev_content: content } },
      );
    const whole = { membership: "join", displayname: SECRET };
    await respond(alice, [repeating("$after1", "$unknown", whole)]);
    await respond(alice, [redact("$r1", "$unknown")]);
    await respond(alice, [repeating("$after2", "$unknown", whole)]);
    await respond(alice, [redact("$r2", "$after1")]);
    const rows = await stage.rows<{ previous: object }>(
      `SELECT convert_from(unsigned, 'UTF8')::json->'prev_content' AS previous FROM events
        WHERE event_id IN ('$after1', '$after2') ORDER BY event_id`,
    );
    expect(rows.map(({ previous }) => previous)).toEqual([{ membership: "join" }, { membership: "join" }]);
  });
});

test("nothing that was redacted is left in any table", async () => {
  const { respond } = await newRoom();
  const gone = "this text must go";
  const name = (eventId: string, more: Partial<V2Event> = {}) => state(eventId, "m.room.name", { name: gone }, more);
  const words = { content: { body: gone } };
  const first = redact("$because", "$m", { reason: gone });
  await respond(alice, [
    message("$m", words),
    name("$n1"),
    member("$bob", BOB, "join", { content: { membership: "join", displayname: gone } }),
  ]);
  await respond(alice, [
    name("$n2", { unsigned: { replaces_state: "$n1", prev_content: { name: gone } } }),
    message("$late", words),
    message("$copy", words),
  ]);
  expect(await everyTable(stage.db, gone)).not.toEqual([]);
  await respond(alice, [
    first,
    redact("$r1", "$n1"),
    redact("$r2", "$n2"),
    redact("$r3", "$bob"),
    redact("$r4", "$late"),
  ]);
  // The reason goes with the redaction of the redaction, and from what it redacted.
  await respond(bob, [redact("$r5", "$because"), pruned(message("$copy", words), redact("$r6", "$copy"))]);
  // Slow streams bring what was, also of what never came otherwise.
  await respond(alice, [redact("$r7", "$slow")]);
  await respond(bob, [pruned(message("$other", words), redact("$slow", "$other", { reason: gone }))]);
  await respond(bob, [message("$m", words), name("$n1"), first, message("$copy", words)]);
  expect(await everyTable(stage.db, gone)).toEqual([]);
});

test("whatever comes in which order and form, what is stored ends as the homeserver serves it", async () => {
  const devices = await Promise.all(READERS.map((userId) => stage.device(userId, "PROPERTY")));
  for (const device of devices) await stage.respond(device, {});
  const steps = fc.array(redactionStep, { minLength: 10, maxLength: 30, size: "max" });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...VERSIONS), steps, async (version, given) => {
      rooms += 1;
      const roomId = `!redactions${rooms}:test`;
      const store = async ({ reader, section, poll, storedBefore }: Answer) => {
        await stage.respond(devices[reader]!, { rooms: { join: { [roomId]: section } } }, { poll, storedBefore });
      };
      const streams = new RedactionStreams(version, {
        get position() {
          return stage.writer.position;
        },
        store: async (answers) => void (await Promise.all(answers.map(store))),
      });
      await streams.run(given);
      const events = await stage.rows<{ event_id: string; body: Buffer; unsigned: Buffer | null }>(
        "SELECT e.event_id, e.body, e.unsigned FROM events e JOIN rooms r USING (room) WHERE r.room_id = $1",
        roomId,
      );
      const current = await stage.rows<{ type: string; event_id: string }>(
        "SELECT s.type, e.event_id FROM current_state s JOIN rooms r USING (room) JOIN events e USING (nid) WHERE r.room_id = $1",
        roomId,
      );
      const { name, avatar, is_encrypted: isEncrypted } = (await stage.room(roomId))!;
      streams.check({
        events: new Map(events.map((row) => [row.event_id, { body: row.body, unsigned: row.unsigned ?? undefined }])),
        name: (name ?? undefined) as string | undefined,
        avatar: (avatar ?? undefined) as string | undefined,
        isEncrypted: isEncrypted === true,
        current: new Map(current.map(({ type, event_id: eventId }) => [type, eventId])),
      });
    }),
    { numRuns: RUNS },
  );
});
