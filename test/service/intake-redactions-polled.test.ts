import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { everyTable } from "../support/every-table.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, PROFILE_NAMES, startHomeserver } from "../support/homeserver/start.ts";
import { type IntakeRun, startIntake, until, untilRow, want } from "../support/intake-run.ts";

const SECRET = "what should not have been said";

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let db: TestDatabase;
  let homeserver: Homeserver & AsyncDisposable;
  let intake: IntakeRun;

  beforeAll(async () => {
    [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver({ profile })]);
    intake = await startIntake(db, homeserver.url);
  });
  afterAll(async () => {
    await intake[Symbol.asyncDispose]();
    await homeserver[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  const untilEvent = (eventId: string) => untilRow(db, "SELECT nid FROM events WHERE event_id = $1", eventId);

  async function polled(robot: Robot): Promise<void> {
    await want(db, robot);
    await untilRow(db, "SELECT since FROM devices WHERE device_id = $1 AND is_synced", robot.deviceId);
    await homeserver.control.untilPollsHeld(1, robot.userId);
  }

  test.each([
    "10",
    "11",
  ])("what is redacted in a room of version %s leaves the store as it left there", async (version) => {
    const alice = await homeserver.register(`alice${version}`, `ALICE${version}`);
    const bob = await homeserver.register(`bob${version}`, `BOB${version}`);
    const roomId = await alice.createRoom({ room_version: version, name: SECRET, preset: "public_chat" });
    await bob.join(roomId);
    await bob.setDisplayName(SECRET);
    await polled(alice);
    const sent = await bob.send(roomId, SECRET);
    await untilEvent(sent);
    const state = await alice.state(roomId);
    const said = state.filter(({ content }) => JSON.stringify(content).includes(SECRET)).map((event) => event.event_id);
    expect(said.length).toBeGreaterThanOrEqual(2);
    await alice.setState(roomId, "m.room.name", { name: "A name" });
    for (const eventId of [sent, ...said]) await alice.redact(roomId, eventId);
    await until(async () => (await everyTable(db, SECRET)).length === 0);
    // Whose first sync comes later gets them in redacted form.
    await polled(bob);
    const there = new Map(
      (await alice.messages(roomId, { limit: "100" })).chunk.map((event) => [event.event_id, event]),
    );
    const stored = await db.query<{ event_id: string; body: Buffer }>({
      text: "SELECT event_id, body FROM events JOIN rooms USING (room) WHERE room_id = $1 AND order_key IS NOT NULL",
      values: [roomId],
    });
    expect(stored.map((row) => row.event_id)).toEqual(expect.arrayContaining([sent, ...said]));
    for (const { event_id: eventId, body } of stored) {
      expect([eventId, JSON.parse(body.toString()).content]).toEqual([eventId, there.get(eventId)?.content]);
    }
    expect(await everyTable(db, SECRET)).toEqual([]);
    const [room] = await db.query({ text: "SELECT name FROM rooms WHERE room_id = $1", values: [roomId] });
    expect(room).toEqual({ name: "A name" });
  });
});
