// Encrypted conversations of real clients through Slidecar.
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Session } from "../support/room-life/api.ts";
import type { Robot } from "./support/client.ts";
import { liveEncrypted } from "./support/encrypted-life.ts";
import {
  allRead,
  cryptoOf,
  encryptedRoom,
  hasKey,
  homeserverOrder,
  invitedToEncrypted,
  joins,
  keyOf,
  knowsDevice,
  memberOf,
  readable,
  tell,
} from "./support/encrypted-talk.ts";
import { say } from "./support/room-talk.ts";
import { withLogs } from "./support/server-process.ts";
import { startSlidecarStage } from "./support/stage.ts";
import { crossSign, verifyBySas } from "./support/verification.ts";

/** More than two answers bring. */
const MANY = 250;
const SEED = 1;
const SECONDS_OF_KILLS = 30;

/** Marks a key that is given to more than one. */
const FALLBACK = '"fallback":true';
/** Fewer: a client may need longer to make its keys. */
const MAX_CLAIMS = 1_000;

const life = new AsyncDisposableStack();
let stage: Awaited<ReturnType<typeof startSlidecarStage>>;
let alice: Robot;
let bob: Robot;
let carol: Robot;

beforeAll(async () => {
  stage = life.use(await startSlidecarStage());
  for (const user of ["alice", "bob", "carol"]) await stage.register(user);
  alice = life.use(await stage.client("alice", { crypto: true }));
  bob = life.use(await stage.client("bob", { crypto: true }));
  carol = life.use(await stage.client("carol", { crypto: true }));
});
afterAll(() => life.disposeAsync());

const lives = (title: string, scene: () => Promise<void>) => test(title, () => withLogs([stage], scene));

lives("two who verify each other and a group of three read all that is said, both ways", async () => {
  const direct = await encryptedRoom(alice, [bob], { is_direct: true });
  await tell(alice, [alice, bob], direct, "who are you?");
  await tell(bob, [alice, bob], direct, "compare emoji");
  for (const robot of [alice, bob]) await crossSign(robot);
  for (const [robot, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    await robot.until(() => cryptoOf(robot).userHasCrossSigningKeys(other.userId), "the other one's new identity");
  }
  await verifyBySas(alice, bob, () => cryptoOf(alice).requestVerificationDM(bob.userId, direct));
  for (const [robot, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const isVerified = async () =>
      (await cryptoOf(robot).getUserVerificationStatus(other.userId)).isCrossSigningVerified();
    await robot.until(isVerified, "trust");
  }
  await tell(alice, [alice, bob], direct, "it is you");
  await tell(bob, [alice, bob], direct, "and you");
  const group = await encryptedRoom(carol, [alice, bob]);
  for (const speaker of [alice, bob, carol]) {
    await tell(speaker, [alice, bob, carol], group, `${speaker.userId} here`);
  }
});

lives("a new login is told of to others, who encrypt for it, and is verified by the old one", async () => {
  const roomId = await encryptedRoom(alice, [bob]);
  await tell(alice, [alice, bob], roomId, "before");
  const heard = alice.exchanges.length;
  await using tablet = await stage.client("bob", { crypto: true });
  await alice.until(() => knowsDevice(alice, tablet), "the new device");
  expect(alice.exchanges.slice(heard).flatMap(({ changedDevices }) => changedDevices)).toContain(bob.userId);
  const devices = [alice, bob, tablet];
  await tell(alice, devices, roomId, "to all devices");
  await tablet.until(() => knowsDevice(tablet, bob), "the old device");
  await verifyBySas(tablet, bob, () => cryptoOf(tablet).requestOwnUserVerification());
  // The keys to sign others with come from the old device.
  await tablet.until(() => cryptoOf(tablet).isCrossSigningReady(), "the secrets of the old device");
  await tell(tablet, devices, roomId, "from the tablet");
  await tell(bob, devices, roomId, "from the old one");
  await tablet.sdk.logout(true);
});

lives("a member who has left gets no key any more", async () => {
  const roomId = await encryptedRoom(alice, [bob, carol]);
  const beside = await encryptedRoom(alice, [carol]);
  const before = keyOf(bob, roomId, await tell(alice, [bob, carol], roomId, "three of us"));
  const still = keyOf(bob, roomId, await tell(alice, [bob, carol], roomId, "still three"));
  expect(still).toBe(before);
  await carol.sdk.leave(roomId);
  await alice.until(() => memberOf(alice, roomId, carol.userId) === "leave", "Carol's leave");
  const after = keyOf(bob, roomId, await tell(alice, [bob], roomId, "two of us"));
  expect([typeof before, typeof after, before === after]).toEqual(["string", "string", false]);
  // What Alice sent her before has arrived when this has.
  await tell(alice, [carol], beside, "beside");
  expect([await hasKey(carol, before), await hasKey(carol, after)]).toEqual([true, false]);
});

lives("a message by the fallback key is read by a client that comes back without one-time keys", async () => {
  const witness: Session = await stage.register("dave");
  const dave = await stage.client("dave", { crypto: true });
  const roomId = await encryptedRoom(alice, [dave]);
  await dave.stop();
  await claimUntil((key) => key.includes(FALLBACK), witness, dave);
  const eventId = await say(alice, roomId, "are you there?");
  await using again = await stage.client("dave", { crypto: true, resumes: dave });
  await allRead([again], roomId, eventId, "are you there?");
  await tell(again, [alice], roomId, "here I am");
  // It was told that none are left, and makes new ones.
  await claimUntil((key) => !key.includes(FALLBACK), witness, dave);
});

/** Takes keys of a device, as those do who write to it for the first time, until the homeserver gives such a key. */
async function claimUntil(
  isLast: (key: string) => boolean,
  session: Session,
  { userId, deviceId }: Robot,
): Promise<void> {
  const body = { one_time_keys: { [userId]: { [deviceId]: "signed_curve25519" } } };
  for (let claims = 0; claims < MAX_CLAIMS; claims++) {
    if (isLast(JSON.stringify(await session.call("POST", "v3/keys/claim", body)))) return;
  }
  throw new Error(`no such key after ${MAX_CLAIMS} claims`);
}

lives("a device that comes into a conversation reads all from then on, until it is logged out", async () => {
  const roomId = await encryptedRoom(alice, [bob]);
  for (let n = 0; n < 3; n++) await tell(n % 2 === 0 ? alice : bob, [alice, bob], roomId, `before ${n}`);
  await using phone = await stage.client("alice", { crypto: true });
  for (const robot of [alice, bob]) await robot.until(() => knowsDevice(robot, phone), "the new device");
  for (let n = 0; n < 3; n++) await tell(n % 2 === 0 ? alice : bob, [alice, bob, phone], roomId, `after ${n}`);
  const before = keyOf(alice, roomId, await tell(bob, [alice], roomId, "for the phone too"));
  await phone.sdk.logout(true);
  await bob.until(async () => !(await knowsDevice(bob, phone)), "the end of the device");
  const after = keyOf(alice, roomId, await tell(bob, [alice], roomId, "not for the phone"));
  expect([typeof before, typeof after, before === after]).toEqual(["string", "string", false]);
});

lives("what was said before an invite was accepted is read by all devices that the invited one had then", async () => {
  const roomId = await invitedToEncrypted(alice, [bob]);
  const early = await tell(alice, [alice], roomId, "come in");
  await using tablet = await stage.client("bob", { crypto: true });
  await alice.until(() => knowsDevice(alice, tablet), "the new device");
  const later = await tell(alice, [alice], roomId, "still waiting");
  await joins(bob, roomId);
  await allRead([bob], roomId, early, "come in");
  await allRead([bob, tablet], roomId, later, "still waiting");
  expect(readable(tablet, roomId, early)).toBeUndefined();
  await tell(bob, [alice, tablet], roomId, "sorry, I was late");
  await tablet.sdk.logout(true);
});

lives("a client that is killed before it looks at an answer has it again when it is started", async () => {
  await stage.register("erin");
  const erin = await stage.client("erin", { crypto: true });
  const roomId = await encryptedRoom(alice, [erin]);
  const killed = erin.killAt(({ toDevice }) => toDevice > 0);
  const eventId = await say(alice, roomId, "the key is in an answer");
  await killed;
  await using again = await stage.client("erin", { crypto: true, resumes: erin });
  await allRead([again], roomId, eventId, "the key is in an answer");
  await tell(again, [alice], roomId, "read");
});

lives("a client that was away for 250 messages of a key each has all keys and reads all, in order", async () => {
  const witness = await stage.register("frank");
  const frank = await stage.client("frank", { crypto: true });
  const roomId = await encryptedRoom(alice, [frank], { messagesByKey: 1 });
  await tell(alice, [frank], roomId, "good night");
  await frank.stop();
  const texts = Array.from({ length: MANY }, (_, n) => `message ${n}`);
  const sent = await Promise.all(texts.map(async (text) => [await say(alice, roomId, text), text] as const));
  await using again = await stage.client("frank", { crypto: true, resumes: frank });
  const keys = () => again.exchanges.map(({ toDevice }) => toDevice);
  await again.until(() => keys().reduce((sum, each) => sum + each, 0) >= MANY, "all keys");
  expect(Math.max(...keys())).toBe(100);
  const room = again.room(roomId);
  while (room?.oldState.paginationToken != null) await again.sdk.scrollback(room, 100);
  for (const [eventId, text] of sent) await allRead([again], roomId, eventId, text);
  expect(again.timelineIds(roomId)).toEqual(await homeserverOrder(witness, roomId));
});

interface ToDevice {
  readonly extensions: { readonly to_device: { readonly events: readonly Told[]; readonly next_batch: string } };
}

interface Told {
  readonly content: { readonly n: number };
}

lives("250 messages to a device come in order, in answers of 100 at most, again where one was lost", async () => {
  const heidi = (await stage.register("heidi")).at(stage.url);
  const ivan = await stage.register("ivan");
  const ask = async (since: string | undefined) => {
    const body = { conn_id: "encryption", extensions: { to_device: { enabled: true, limit: 100, since } } };
    const path = "unstable/org.matrix.simplified_msc3575/sync?timeout=10000";
    return (await heidi.call<ToDevice>("POST", path, body)).extensions.to_device;
  };
  const numbers = Array.from({ length: MANY }, (_, n) => n);
  const send = (n: number) => ivan.sendToDevice("org.example.number", { [heidi.userId]: { [heidi.deviceId]: { n } } });
  for (const n of numbers) await send(n);
  const told: number[] = [];
  for (let since: string | undefined; told.length < MANY; ) {
    const lost = await ask(since);
    const { events, next_batch } = await ask(since);
    expect(events.length).toBeLessThanOrEqual(100);
    expect(events.slice(0, lost.events.length)).toEqual(lost.events);
    told.push(...events.map(({ content }) => content.n));
    since = next_batch;
  }
  expect(told).toEqual(numbers);
});

lives("nothing is lost, doubled or unreadable in a conversation during which Slidecar is killed", async () => {
  const report = await liveEncrypted({
    homeserverUrl: stage.homeserverUrl,
    front: stage.slidecar,
    seed: SEED,
    seconds: SECONDS_OF_KILLS,
    stop: new AbortController().signal,
    progress: () => {},
  });
  expect(report.failures).toEqual([]);
  expect(report.kills).toBeGreaterThan(2);
  expect(report.newcomers).toBe(1);
  expect(report.keys).toBeGreaterThan(report.messages / 3);
});
