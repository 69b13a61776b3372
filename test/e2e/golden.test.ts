// matrix-rust-sdk's requests, as Element X sends them, to Slidecar before a real Synapse.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { countOf, roomIdsIn, roomIn, stateKeysOf, timelineOf } from "./conformance/answer.ts";
import type { Person } from "./conformance/person.ts";
import { type StartedReplicas, startReplicas } from "./conformance/targets.ts";
import { World } from "./conformance/world.ts";
import {
  ENCRYPTED,
  expectNoneMissing,
  expectWhole,
  history,
  makeRooms,
  type Said,
  sharedRooms,
  untilShown,
} from "./golden/account.ts";
import { EncryptionSyncService, NotificationClient } from "./golden/background.ts";
import { RoomListService } from "./golden/room-list.ts";
import type { DecodedAnswer } from "./golden/ruma-answer.ts";
import { withLogs } from "./support/server-process.ts";

/** Rooms of the large account. */
const ROOMS = 250;
/** Shorter: a busy machine does not make so many rooms in time. */
const LARGE_WITHIN_MS = 400_000;
const SHARED_ROOMS = 5;
const ENCRYPTED_ROOMS = 25;
/** Answers computed from one position that Slidecar keeps. */
const CHILDREN = 8;
/** Requests that are given up one after the other. */
const CANCELLED = 10;
/** Pushes one after the other: more than answers that are kept of one `conn_id`. */
const PUSHES = 10;
/** Requests of one app that replicas serve in turn. */
const ROUNDS = 20;
/** Events of a room that is open in the app. */
const OPENED = 20;
/** Messages in a room, more than the app shows of it. */
const MESSAGES = 21;

let servers: StartedReplicas;
let worlds = 0;
let large: Promise<LargeAccount> | undefined;

beforeAll(async () => {
  servers = await startReplicas(2);
});

afterAll(async () => {
  await servers?.[Symbol.asyncDispose]();
});

/** A test with users of its own. */
function scenario(title: string, run: (world: World) => Promise<void>, withinMs?: number): void {
  const attempt = () => {
    worlds += 1;
    return withLogs([servers], () => run(new World(servers, worlds)));
  };
  test(title, attempt, withinMs);
}

interface LargeAccount {
  readonly alice: Person;
  readonly bob: Person;
  readonly rooms: readonly string[];
  /** Those that bob is in as well. */
  readonly shared: readonly string[];
  readonly encrypted: readonly string[];
}

async function makeLargeAccount(): Promise<LargeAccount> {
  const [alice, bob] = await new World(servers, 0).pair();
  const shared = await sharedRooms(alice, bob, SHARED_ROOMS);
  const encrypted = await makeRooms(alice, ENCRYPTED_ROOMS, ENCRYPTED);
  const others = await makeRooms(alice, ROOMS - SHARED_ROOMS - ENCRYPTED_ROOMS);
  return { alice, bob, rooms: [...shared, ...encrypted, ...others].toSorted(), shared, encrypted };
}

/** Made once: the homeserver needs its time for so many rooms. */
function largeAccount(): Promise<LargeAccount> {
  large ??= makeLargeAccount();
  return large;
}

/** An app that has all rooms of its user, and waits. */
async function openApp(user: Person): Promise<RoomListService> {
  await servers.caughtUp(user.session);
  const app = new RoomListService(servers.syncUrl, user.session);
  while (!app.isWaiting) await app.sync();
  return app;
}

async function say(person: Person, roomId: string): Promise<Said> {
  return { roomId, id: await person.say(roomId) };
}

/** Extensions that the room list asks for and that are served. */
const OFFERED = ["account_data", "receipts", "typing"];

describe("the room list", () => {
  scenario(
    "grows to all rooms of an account, has each once, and waits then",
    async () => {
      const { alice, bob, rooms, shared, encrypted } = await largeAccount();
      await servers.caughtUp(alice.session);
      const app = new RoomListService(servers.syncUrl, alice.session, { hasAllExtensions: true });
      const steps: unknown[] = [];
      const answers: DecodedAnswer[] = [];
      while (!app.isWaiting) {
        const { end } = app;
        const answer = await app.sync();
        answers.push(answer);
        steps.push([end, roomIdsIn(answer).length, countOf(answer, "all_rooms"), Object.keys(answer.extensions ?? {})]);
      }
      expect(steps).toEqual([
        [19, 20, ROOMS, OFFERED],
        [99, 80, ROOMS, OFFERED],
        [199, 100, ROOMS, OFFERED],
        [249, 50, ROOMS, OFFERED],
      ]);
      // Each came as a new one, and once: the app would not take it otherwise.
      expect(app.seen.roomIds).toEqual(rooms);
      const isEncrypted = (answer: DecodedAnswer, id: string) => stateKeysOf(answer, id).includes("m.room.encryption");
      const toldEncrypted = answers.flatMap((answer) => roomIdsIn(answer).filter((id) => isEncrypted(answer, id)));
      expect(toldEncrypted.toSorted()).toEqual(encrypted.toSorted());
      // They were made first, so that they stand at the end of the list.
      expect(roomIdsIn(answers.at(-1)!)).toEqual(expect.arrayContaining([...shared, ...encrypted]));

      const waiting = app.asking();
      await waiting.staysHeld();
      const oldest = shared[0]!;
      const message = await bob.say(oldest);
      const news = await waiting.answer;
      expect(roomIdsIn(news)).toEqual([oldest]);
      expect(roomIn(news, oldest)).toMatchObject({ limited: false, num_live: 1 });
      expect(timelineOf(news, oldest)).toEqual([message]);
      app.adopt(news);
      expect([app.end, app.isWaiting]).toEqual([249, true]);
    },
    LARGE_WITHIN_MS,
  );

  scenario("asks for a room more when there is one, and waits again", async (world) => {
    const [alice, bob] = await world.pair();
    const rooms = await makeRooms(alice, 3);
    const app = await openApp(alice);
    expect([app.end, app.isWaiting]).toEqual([2, true]);
    const waiting = app.asking();
    const invite = await bob.room();
    await bob.invite(invite, alice);
    const news = await waiting.answer;
    expect([roomIdsIn(news), countOf(news, "all_rooms")]).toEqual([[invite], 4]);
    app.adopt(news);
    expect([app.end, app.isWaiting]).toEqual([3, false]);
    expect(roomIdsIn(await app.sync())).toEqual([]);
    expect([app.end, app.isWaiting]).toEqual([3, true]);
    const again = app.asking();
    await again.staysHeld();
    await again.cancel();
    expect(app.seen.roomIds).toEqual([...rooms, invite].toSorted());
  });
});

describe("a room that is opened", () => {
  /** Opens the room while the app waits, and compares what it shows with what the homeserver has. */
  async function opened(app: RoomListService, user: Person, roomId: string) {
    const waiting = app.asking();
    await waiting.staysHeld();
    await waiting.cancel();
    app.subscriptions = [roomId];
    const answer = await app.sync();
    const all = await history(user, roomId);
    expect(roomIdsIn(answer)).toEqual([roomId]);
    const room = roomIn(answer, roomId);
    expect(room).toMatchObject({ limited: true, unstable_expanded_timeline: true });
    expect(timelineOf(answer, roomId)).toEqual(all.slice(-OPENED));
    const older = await history(user, roomId, room.prev_batch ?? "none");
    return { older, all };
  }

  scenario("has its newest messages at once, and scrolling back goes on right before them", async (world) => {
    const [alice, bob] = await world.pair();
    const [roomId] = await sharedRooms(alice, bob, 1);
    const app = await openApp(alice);
    for (let sent = 0; sent < MESSAGES; sent++) {
      await bob.say(roomId!);
      await servers.caughtUp(alice.session);
    }
    await app.sync();
    const { older, all } = await opened(app, alice, roomId!);
    expect(older).toEqual(all.slice(0, -OPENED));
  });

  scenario("has them too when they came all at once; scrolling back skips none", async (world) => {
    const [alice, bob] = await world.pair();
    const [roomId] = await sharedRooms(alice, bob, 1);
    for (let sent = 0; sent < MESSAGES; sent++) await bob.say(roomId!);
    const app = await openApp(alice);
    const { older, all } = await opened(app, alice, roomId!);
    // The homeserver gave no token within what it told at once, so that some may come again.
    expect(older).toEqual(all.slice(0, older.length));
    expect(older.length).toBeGreaterThanOrEqual(all.length - OPENED);
  });
});

describe("a push", () => {
  scenario("shows the room that it names, while the app stays where it is", async (world) => {
    const [alice, bob] = await world.pair();
    const carol = await world.user("carol");
    const roomId = await bob.room({ ...ENCRYPTED, name: "News", invite: [alice.id] });
    await alice.join(roomId);
    await bob.invite(roomId, carol);
    await carol.join(roomId);
    const invite = await carol.room();
    const app = await openApp(alice);
    const keys = new EncryptionSyncService(servers.syncUrl, alice.session, "app");
    await keys.sync();
    await carol.invite(invite, alice);

    const encrypted = () => bob.session.send(roomId, "m.room.encrypted", { algorithm: "m.megolm.v1.aes-sha2" });
    const notified = [await encrypted()];
    await servers.caughtUp(alice.session);
    const push = new NotificationClient(servers.syncUrl, alice.session, roomId);
    const first = await push.sync();
    expect(roomIdsIn(first)).toEqual([roomId, invite].toSorted());
    expect(countOf(first, "invites")).toBe(1);
    expect(roomIn(first, invite).invite_state).not.toEqual([]);
    const shown = roomIn(first, roomId);
    const all = await history(alice, roomId);
    expect(shown).toMatchObject({ initial: true, name: "News" });
    expect(timelineOf(first, roomId)).toEqual(all.slice(-shown.timeline!.length));
    expect(timelineOf(first, roomId).at(-1)).toBe(notified[0]);
    expect(stateKeysOf(first, roomId)).toEqual(
      [
        "m.room.create",
        "m.room.encryption",
        "m.room.join_rules",
        `m.room.member ${alice.id}`,
        `m.room.member ${bob.id}`,
        `m.room.member ${carol.id}`,
        "m.room.name",
        "m.room.power_levels",
      ].toSorted(),
    );
    // The event that is looked for comes with the second and the third request.
    for (let iteration = 2; iteration <= 3; iteration++) {
      const waiting = push.asking();
      notified.push(await encrypted());
      const answer = await waiting.answer;
      expect(timelineOf(answer, roomId)).toEqual(notified.slice(-1));
      push.adopt(answer);
    }
    const news = await app.sync();
    expect(roomIdsIn(news)).toEqual([roomId]);
    expect(roomIn(news, roomId).limited).toBe(true);
    expect(timelineOf(news, roomId)).toEqual(notified.slice(-1));
    // The list is one room longer than the app knew.
    expect(roomIdsIn(await app.sync())).toEqual([invite]);
  });

  scenario("displaces no connection of the app, however many there are", async (world) => {
    const [alice, bob] = await world.pair();
    const [roomId] = await sharedRooms(alice, bob, 1);
    const app = await openApp(alice);
    const keys = new EncryptionSyncService(servers.syncUrl, alice.session, "app");
    await keys.sync();
    const said: Said[] = [];
    for (let pushes = 0; pushes < PUSHES; pushes++) {
      said.push(await say(bob, roomId!));
      const push = new NotificationClient(servers.syncUrl, alice.session, roomId!);
      expect(roomIn(await push.sync(), roomId!).initial).toBe(true);
    }
    // v2 names as changed also whose member event it sends along (docs/limits.md, no. 33).
    await servers.caughtUp(alice.session);
    await keys.sync();
    const waiting = keys.asking();
    await waiting.staysHeld();
    await waiting.cancel();
    app.subscriptions = [roomId!];
    await untilShown(app, said);
    await expectWhole(app, alice, [roomId!]);
  });

  scenario("fetches keys under the conn_id of the app, whose own position goes on to count", async (world) => {
    const alice = await world.user("alice");
    const keys = new EncryptionSyncService(servers.syncUrl, alice.session, "app");
    await keys.sync();
    const push = new EncryptionSyncService(servers.syncUrl, alice.session, "push");
    const { extensions } = await push.sync();
    expect(Object.keys(extensions ?? {})).toEqual(["to_device", "e2ee"]);
    for (const sync of [push, keys]) {
      const waiting = sync.asking();
      await waiting.staysHeld();
      await waiting.cancel();
    }
  });
});

describe("a position", () => {
  scenario("is good for the next request after requests that were given up, and nothing is lost", async (world) => {
    const [alice, bob] = await world.pair();
    const rooms = await sharedRooms(alice, bob, CANCELLED);
    const app = await openApp(alice);
    const said: Said[] = [];
    for (const [index, roomId] of rooms.entries()) {
      app.subscriptions = [roomId, rooms.at(index - 1)!];
      const asking = app.asking();
      said.push(await say(bob, roomId));
      // Some answers are lost on the way, of others the client does not wait for the end.
      if (index % 2 === 1) await asking.answer;
      await asking.cancel();
    }
    await untilShown(app, said);
    await expectNoneMissing(app, alice, rooms);
    await expectWhole(app, alice, rooms.slice(-2));
  });

  scenario("that two requests use at once serves the newer one, and the older one is answered", async (world) => {
    const [alice, bob] = await world.pair();
    const [roomId] = await sharedRooms(alice, bob, 1);
    const app = await openApp(alice);
    const older = app.asking();
    await older.staysHeld();
    const newer = app.asking();
    expect(roomIdsIn(await older.answer)).toEqual([]);
    await newer.staysHeld();
    const message = await say(bob, roomId!);
    const news = await newer.answer;
    expect(timelineOf(news, roomId!)).toEqual([message.id]);
    app.adopt(news);
    const next = app.asking();
    await next.staysHeld();
    await next.cancel();
    await expectNoneMissing(app, alice, [roomId!]);
  });

  scenario(`has ${CHILDREN} answers, and a client may go on from each`, async (world) => {
    const [alice, bob] = await world.pair();
    const rooms = await sharedRooms(alice, bob, 2 * CHILDREN);
    const app = await openApp(alice);
    const unopened = [...rooms];
    const said: Said[] = [];
    for (let used = 0; used < CHILDREN; used++) {
      said.push(await say(bob, rooms[used]!));
      const answers: DecodedAnswer[] = [];
      for (const roomId of unopened.slice(0, CHILDREN)) {
        app.subscriptions = [roomId];
        answers.push(await app.ask());
      }
      expect(new Set(answers.map(({ pos }) => pos)).size).toBe(CHILDREN);
      app.adopt(answers[used]!);
      unopened.splice(used, 1);
    }
    await untilShown(app, said);
    await expectNoneMissing(app, alice, unopened);
    await expectWhole(
      app,
      alice,
      rooms.filter((roomId) => !unopened.includes(roomId)),
    );
  });
});

describe("two replicas", () => {
  /** The replicas in turn. */
  function* inTurn(): Generator<string, never> {
    for (;;) yield* servers.replicaUrls;
  }

  scenario(
    "serve one app in turn, which has every room and every message once",
    async () => {
      const { alice, bob, rooms, shared } = await largeAccount();
      await servers.caughtUp(alice.session);
      const app = new RoomListService(servers.syncUrl, alice.session);
      const urls = inTurn();
      while (!app.isWaiting) await app.sync(urls.next().value);
      expect(app.seen.roomIds).toEqual(rooms);
      const said: Said[] = [];
      for (const roomId of Array.from({ length: ROUNDS }, (_, index) => shared[index % shared.length]!)) {
        const waiting = app.asking(urls.next().value);
        said.push(await say(bob, roomId));
        const news = await waiting.answer;
        expect([roomIdsIn(news), timelineOf(news, roomId)]).toEqual([[roomId], [said.at(-1)?.id]]);
        app.adopt(news);
      }
      await expectNoneMissing(app, alice, shared);
    },
    LARGE_WITHIN_MS,
  );

  scenario("have a request that was given up at one of them answered by the other", async (world) => {
    const [alice, bob] = await world.pair();
    const rooms = await sharedRooms(alice, bob, CANCELLED);
    const app = await openApp(alice);
    const urls = inTurn();
    const said: Said[] = [];
    for (const roomId of rooms) {
      const given = app.asking(urls.next().value);
      said.push(await say(bob, roomId));
      await given.cancel();
      app.subscriptions = [roomId];
      // Both hold an answer to the position then, of which the client uses one.
      const [here, there] = [app.asking(urls.next().value), app.asking(urls.next().value)];
      const [unused, used] = await Promise.all([here.answer, there.answer]);
      expect(unused.pos).not.toBe(used.pos);
      app.adopt(used);
    }
    await untilShown(app, said);
    await expectWhole(app, alice, rooms);
  });

  scenario("go on with each other's connection for keys", async (world) => {
    const alice = await world.user("alice");
    const keys = new EncryptionSyncService(servers.syncUrl, alice.session, "app");
    const urls = inTurn();
    await keys.sync(urls.next().value);
    const waiting = keys.asking(urls.next().value);
    await waiting.staysHeld();
    await waiting.cancel();
  });
});
