// An encrypted conversation that goes on while the server under test is killed again and again.
import { setTimeout as pause } from "node:timers/promises";
import { EventStatus, type MatrixEvent } from "matrix-js-sdk";
import { createRandom, type Random } from "../../support/homeserver/random.ts";
import { register, type Session } from "../../support/room-life/api.ts";
import { type Robot, startClient } from "./client.ts";
import { encryptedRoom, homeserverOrder, keyOf, knowsDevice, readable } from "./encrypted-talk.ts";
import type { Front } from "./front.ts";

const PASSWORD = "correct horse";
const USERS = ["anna", "ben", "cleo"] as const;
/** Events of a room in one answer, as many as a server gives. */
const TIMELINE_LIMIT = 100;
/** Nobody speaks while somebody lacks so many messages. With others under way they stay below {@link TIMELINE_LIMIT}: no gap is due. */
const MAX_BEHIND = 60;
/** Between two messages of one user at most. */
const MAX_SILENCE_MS = 500;
/** From one start of the server to the next kill. The SDK asks again 5 s after one: shorter, and it hardly ever has an answer. */
const MIN_UP_MS = 500;
const MAX_UP_MS = 8_000;
/** So long before the end nothing is killed any more, so that the SDK asks again meanwhile. */
const QUIET_END_MS = 5_000;
/** Fewer: more keys, each of which may be lost. */
const MESSAGES_BY_KEY = 2;
/** What cannot be sent is sent again after this, and who cannot log in tries again. */
const AGAIN_MS = 200;
/** A new device comes when the life begins, and then as often as this. More: each message has more keys to send. */
const NEWCOMER_EVERY_MS = 60_000;

export interface EncryptedLifeOptions {
  readonly homeserverUrl: string;
  readonly front: Front;
  readonly seed: number;
  readonly seconds: number;
  /** Aborts when the life shall end early. */
  readonly stop: AbortSignal;
  progress(line: string): void;
}

export interface EncryptedLifeReport {
  readonly kills: number;
  /** Devices that came while the life went on. */
  readonly newcomers: number;
  readonly messages: number;
  /** How often a message had to be sent again. */
  readonly resent: number;
  /** Room keys that messages were encrypted by. */
  readonly keys: number;
  /** What is missing, doubled, unreadable or in another order for a client; empty: nothing. */
  readonly failures: readonly string[];
}

interface Sent {
  readonly id: string;
  readonly text: string;
  readonly begunMs: number;
}

/** A client, and from when on it has to be able to read. */
interface Listener {
  readonly robot: Robot;
  readonly sinceMs: number;
}

interface Conversation {
  readonly roomId: string;
  /** One of each user. */
  readonly speakers: readonly Robot[];
  readonly listeners: Listener[];
  readonly sent: Sent[];
  resent: number;
}

export async function liveEncrypted(options: EncryptedLifeOptions): Promise<EncryptedLifeReport> {
  const { homeserverUrl, front, seed } = options;
  await using clients = new AsyncDisposableStack();
  const start = async (user: string) => clients.use(await startDevice(front.url, user));
  const witnesses: Session[] = [];
  for (const user of USERS) witnesses.push(await register(homeserverUrl, user, PASSWORD));
  const [first, ...others] = [await start(USERS[0]), await start(USERS[1]), await start(USERS[2])];
  const speakers = [first, ...others];
  const roomId = await encryptedRoom(first, others, { messagesByKey: MESSAGES_BY_KEY });
  const listeners = speakers.map((robot) => ({ robot, sinceMs: 0 }));
  const conversation: Conversation = { roomId, speakers, listeners, sent: [], resent: 0 };
  const isOver = new AbortController();
  const going = Promise.all([
    ...speakers.map((robot, index) => speakUntil(isOver.signal, robot, conversation, createRandom(seed + 1 + index))),
    welcomeUntil(isOver.signal, conversation, start),
  ]);
  // It is looked at when the kills are over.
  going.catch(() => {});
  let kills: number;
  try {
    kills = await killOften(options, conversation.sent);
  } finally {
    isOver.abort();
  }
  await going;
  for (const robot of speakers) await speak(robot, conversation, "has the last word");
  const all = await homeserverOrder(witnesses[0] as Session, roomId);
  const failures = await Promise.all(listeners.map((listener) => failuresOf(listener, conversation, all)));
  const { sent, resent } = conversation;
  return {
    kills,
    newcomers: listeners.length - speakers.length,
    messages: sent.length,
    resent,
    keys: new Set(sent.map(({ id }) => keyOf(first, roomId, id))).size,
    failures: failures.flat(),
  };
}

const startDevice = (baseUrl: string, user: string): Promise<Robot & AsyncDisposable> =>
  startClient({ baseUrl, user, password: PASSWORD, crypto: true, timelineLimit: TIMELINE_LIMIT });

/** Users log in on further devices, which have to be able to read as soon as all others know of them. */
async function welcomeUntil(
  isOver: AbortSignal,
  { speakers, listeners }: Conversation,
  start: (user: string) => Promise<Robot>,
): Promise<void> {
  for (let n = 0; !isOver.aborted; n++) {
    const robot = await atLast(() => start(USERS[n % USERS.length] ?? USERS[0]));
    for (const speaker of speakers) await speaker.until(() => knowsDevice(speaker, robot), "the new device");
    listeners.push({ robot, sinceMs: performance.now() });
    await until(NEWCOMER_EVERY_MS, isOver);
  }
}

async function atLast<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await pause(AGAIN_MS);
    }
  }
}

async function killOften(options: EncryptedLifeOptions, sent: readonly Sent[]): Promise<number> {
  const { front, seed, seconds, stop, progress } = options;
  const random = createRandom(seed);
  const lastKillMs = performance.now() + seconds * 1000 - QUIET_END_MS;
  let kills = 0;
  for (;;) {
    const upMs = MIN_UP_MS + random.unit() * (MAX_UP_MS - MIN_UP_MS);
    if (performance.now() + upMs > lastKillMs) break;
    await until(upMs, stop);
    if (stop.aborted) return kills;
    await front.kill();
    await front.restart();
    kills += 1;
    progress(`${kills} kills, ${sent.length} messages`);
  }
  await until(lastKillMs + QUIET_END_MS - performance.now(), stop);
  return kills;
}

const until = (ms: number, stop: AbortSignal): Promise<void> => pause(ms, undefined, { signal: stop }).catch(() => {});

async function speakUntil(
  isOver: AbortSignal,
  robot: Robot,
  conversation: Conversation,
  random: Random,
): Promise<void> {
  const { roomId, listeners, sent } = conversation;
  for (let n = 0; !isOver.aborted; ) {
    await pause(random.unit() * MAX_SILENCE_MS);
    const mark = sent.at(-MAX_BEHIND)?.id;
    const isBehind = mark !== undefined && listeners.some((each) => keyOf(each.robot, roomId, mark) === undefined);
    if (!isBehind) await speak(robot, conversation, `says ${n++}`);
  }
}

async function speak(robot: Robot, conversation: Conversation, what: string): Promise<void> {
  const text = `${robot.userId} ${what}`;
  const begunMs = performance.now();
  conversation.sent.push({ id: await sayAtLast(robot, conversation, text), text, begunMs });
}

/** Says it as an app does, whose user presses "send again" until it is sent. */
async function sayAtLast(robot: Robot, conversation: Conversation, text: string): Promise<string> {
  const { roomId } = conversation;
  const txnId = robot.sdk.makeTxnId();
  try {
    return (await robot.sdk.sendTextMessage(roomId, text, txnId)).event_id;
  } catch {
    for (;;) {
      await pause(AGAIN_MS);
      const room = robot.room(roomId);
      const pending = room?.getPendingEvents().find((event) => event.getTxnId() === txnId);
      // It had been sent: only the answer was lost, and the event came back.
      if (room === undefined || pending === undefined) return echoOf(robot, roomId, txnId);
      if (pending.status !== EventStatus.NOT_SENT) continue;
      conversation.resent += 1;
      try {
        return (await robot.sdk.resendEvent(pending, room)).event_id;
      } catch {}
    }
  }
}

function echoOf(robot: Robot, roomId: string, txnId: string): string {
  const isEcho = (event: MatrixEvent) => event.getUnsigned().transaction_id === txnId;
  const id = robot.room(roomId)?.getLiveTimeline().getEvents().find(isEcho)?.getId();
  if (id === undefined) throw new Error(`${robot.userId} has lost its message ${txnId}`);
  return id;
}

/** `all`: what the homeserver has, in its order. */
async function failuresOf(
  { robot, sinceMs }: Listener,
  { roomId, sent }: Conversation,
  all: readonly string[],
): Promise<string[]> {
  const name = `${robot.userId} ${robot.deviceId}`;
  const due = sent.filter(({ begunMs }) => begunMs > sinceMs);
  const isRead = ({ id, text }: Sent) => readable(robot, roomId, id) === text;
  const failures: string[] = [];
  try {
    await robot.until(() => due.every(isRead), "all messages, decrypted");
  } catch (error) {
    failures.push(String(error));
  }
  const shown = robot.timelineIds(roomId);
  const times = Map.groupBy(shown, (id) => id);
  for (const message of due) {
    const { length } = times.get(message.id) ?? [];
    if (length !== 1) failures.push(`${name} shows ${length} times: ${message.text}`);
    else if (!isRead(message)) failures.push(`${name} cannot read: ${message.text}`);
  }
  if (shown.join() !== all.slice(-shown.length).join()) failures.push(`${name} shows others, or in another order`);
  const refused = robot.exchanges.flatMap(({ errcode }) => errcode ?? []);
  if (refused.length > 0) failures.push(`${name} was answered ${refused}`);
  return failures;
}
