import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { Writer } from "../../src/intake/ingest/writer.ts";
import { ChangeStream } from "../../src/model/change.ts";
import { DatabaseUnavailableError } from "../../src/store/database-errors.ts";
import { IntakeStage, type StageDevice } from "../support/intake-stage.ts";
import { ALICE, BOB, create, inRoom, member, message } from "../support/v2-events.ts";

let stage: IntakeStage;
let alice: StageDevice;
let bob: StageDevice;
let tag: string;
let made = 0;

beforeAll(async () => {
  stage = await IntakeStage.open();
  alice = await stage.device(ALICE);
  bob = await stage.device(BOB);
  for (const device of [alice, bob]) await stage.respond(device, {});
  // The database refuses what a test wants it to.
  await stage.rows("CREATE TABLE refused (sender text PRIMARY KEY)");
  await stage.rows(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT FROM refused WHERE refused.sender = NEW.sender) THEN
        RAISE EXCEPTION 'refused %', NEW.event_id USING ERRCODE = '22023';
      END IF;
      RETURN NEW;
    END $$`);
  await stage.rows("CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()");
  await stage.rows("INSERT INTO refused VALUES ('@poison:test')");
});
afterAll(() => stage[Symbol.asyncDispose]());

beforeEach(() => {
  made += 1;
  tag = `.${made}`;
  stage.aside.length = 0;
});

const whole = (name: string, sender = ALICE) =>
  inRoom([
    create(`$create.${name}${tag}`),
    member(`$in.${name}${tag}`, ALICE, "join"),
    message(`$m.${name}${tag}`, { sender }),
  ]);
const id = (name: string) => `!${name}${tag}:test`;
const body = (rooms: Record<string, string>) => ({
  rooms: { join: Object.fromEntries(Object.entries(rooms).map(([name, sender]) => [id(name), whole(name, sender)])) },
});
const POISON = "@poison:test";

describe("a room that the database refuses", () => {
  test("is set aside, and the rest of the response is stored, with where the stream goes on", async () => {
    const toDevice = { to_device: { events: [{ type: "m.test", content: { made } }] } };
    await stage.respond(
      alice,
      { ...body({ good: ALICE, bad: POISON, fine: ALICE }), ...toDevice },
      { nextBatch: `on${made}` },
    );
    expect(stage.aside).toEqual([id("bad")]);
    expect(await stage.room(id("bad"))).toMatchObject({
      quarantined: expect.stringContaining("refused"),
      is_complete: false,
    });
    for (const name of ["good", "fine"])
      expect(await stage.room(id(name))).toMatchObject({ is_complete: true, quarantined: null });
    const [row] = await stage.rows("SELECT since FROM devices WHERE device_nid = $1", alice.claim.deviceNid);
    expect(row).toEqual({ since: `on${made}` });
    const [inbox] = await stage.rows(
      "SELECT count(*)::int AS count FROM to_device_messages WHERE device_nid = $1",
      alice.claim.deviceNid,
    );
    expect(inbox).toEqual({ count: 1 });
  });

  test("is news for those who held it in memory, and goes on with the next response", async () => {
    await stage.respond(alice, body({ bad: ALICE }));
    const before = stage.writer.position;
    const second = { rooms: { join: { [id("bad")]: inRoom([message(`$n${tag}`, { sender: POISON })]) } } };
    await stage.respond(alice, second);
    expect(await stage.changes(before)).toMatchObject([{ stream: ChangeStream.room, room: id("bad") }]);
    await stage.respond(alice, { rooms: { join: { [id("bad")]: inRoom([message(`$o${tag}`)]) } } });
    expect((await stage.line(id("bad"))).replaceAll(tag, "")).toBe("create.bad in.bad m.bad | o");
    expect((await stage.room(id("bad")))?.quarantined).not.toBeNull();
    await stage.respond(alice, {
      rooms: { join: { [id("bad")]: inRoom([], { state: [create(`$create.bad${tag}`)] }) } },
    });
    expect((await stage.room(id("bad")))?.quarantined).toBeNull();
  });

  test("does not keep others from being stored that came at the same time", async () => {
    const responses = [
      stage.respond(alice, body({ first: ALICE })),
      stage.respond(bob, body({ bad: POISON, beside: ALICE })),
      stage.respond(await stage.device("@carol:test", `C${made}`), body({ other: ALICE })),
    ];
    await Promise.all(responses);
    expect(stage.aside).toEqual([id("bad")]);
    for (const name of ["first", "beside", "other"])
      expect(await stage.room(id(name))).toMatchObject({ is_complete: true });
  });

  test("of a long response is set aside while its other rooms are stored", async () => {
    const filler = Array.from({ length: 1_100 }, (_, n) => message(`$fill${n}${tag}`));
    const rooms = { ...body({ bad: POISON, good: ALICE }).rooms.join, [id("big")]: inRoom(filler) };
    await stage.respond(alice, { rooms: { join: rooms } });
    expect(stage.aside).toEqual([id("bad")]);
    expect(await stage.room(id("good"))).toMatchObject({ is_complete: true });
    expect((await stage.line(id("big"))).length).toBeGreaterThan(10_000);
  });
});

test("what comes while something is stored is stored together", async () => {
  const devices = await Promise.all(Array.from({ length: 8 }, (_, n) => stage.device(`@u${n}:test`, `D${made}`)));
  const stored = stage.stored.length;
  await Promise.all(devices.map((device, n) => stage.respond(device, body({ [`together${n}`]: ALICE }))));
  expect(stage.stored.length - stored).toBeLessThan(8);
  for (const [n] of devices.entries())
    expect(await stage.room(id(`together${n}`))).toMatchObject({ is_complete: true });
});

test("several users of one room may be stored in one transaction, in any order", async () => {
  await stage.respond(alice, body({ shared: ALICE }));
  const devices = await Promise.all(Array.from({ length: 6 }, (_, n) => stage.device(`@v${n}:test`, `D${made}`)));
  const texts = Array.from({ length: 6 }, (_, n) => message(`$t${n}${tag}`));
  await Promise.all(
    devices.map((device, n) => {
      const events = [message(`$m.shared${tag}`), ...texts.slice(0, n + 1)];
      return stage.respond(device, { rooms: { join: { [id("shared")]: inRoom(events) } } });
    }),
  );
  const line = (await stage.line(id("shared"))).replaceAll(tag, "");
  expect(line).toBe("create.shared in.shared m.shared t0 t1 t2 t3 t4 t5");
});

describe("a database that cannot be reached", () => {
  const terminate =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
  afterEach(() => stage.rows("DROP TRIGGER IF EXISTS cut ON devices"));

  test("fails every response of the group at once, and the next ones are stored", async () => {
    // The server ends the connection in the middle of the transaction.
    await stage.rows(`
      CREATE OR REPLACE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`);
    await stage.rows("CREATE TRIGGER cut BEFORE UPDATE OF since ON devices FOR EACH ROW EXECUTE FUNCTION cut()");
    const stored = stage.stored.length;
    const results = await Promise.allSettled([
      stage.respond(alice, body({ lost: ALICE })),
      stage.respond(bob, body({ gone: ALICE })),
    ]);
    for (const result of results)
      expect(result).toMatchObject({ status: "rejected", reason: expect.any(DatabaseUnavailableError) });
    expect(stage.stored.length).toBe(stored);
    await stage.rows("DROP TRIGGER cut ON devices");
    expect(await stage.room(id("lost"))).toBeUndefined();
    await stage.respond(alice, body({ lost: ALICE }));
    expect(await stage.room(id("lost"))).toMatchObject({ is_complete: true });
  });

  test("does not end the writer when its connections are lost between two responses", async () => {
    await stage.rows(terminate);
    for (let tries = 0; ; tries += 1) {
      try {
        await stage.respond(alice, body({ again: ALICE }));
        break;
      } catch (error) {
        if (!(error instanceof DatabaseUnavailableError) || tries > 20) throw error;
      }
    }
    expect(await stage.room(id("again"))).toMatchObject({ is_complete: true });
  });
});

test("a transaction that loses against another is run again with fresh numbers", async () => {
  // Each run takes the numbers that it needs; the second one must find as many.
  let runs = 0;
  const db = {
    ...stage.db,
    write: async <T>(work: Parameters<typeof stage.db.write<T>>[0], options?: object) => {
      runs += 1;
      const lost = stage.db.write<T>(async (tx) => {
        await (await work(tx)).last;
        throw new Error("lost");
      }, options);
      await lost.catch(() => undefined);
      return await stage.db.write<T>(work, options);
    },
  };
  const writer = new Writer({
    db,
    onPosition: () => {},
    onStored: () => {},
    onLock: () => {},
    onRoomSetAside: () => {},
  });
  const events = Array.from({ length: 400 }, (_, n) => message(`$r${n}${tag}`));
  const intake = stage.intake(alice, {}, writer);
  const rooms = { join: { [id("twice")]: inRoom(events) } };
  await intake.write(Buffer.from(JSON.stringify({ next_batch: "again", rooms })));
  alice.since = (await intake.end()).nextBatch;
  expect(runs).toBe(1);
  expect((await stage.line(id("twice"))).split(" ")).toHaveLength(400);
});
