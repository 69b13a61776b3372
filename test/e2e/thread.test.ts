import { expect, test } from "@jest/globals";
import { register, type Session } from "../support/room-life/api.ts";
import { type Robot, startClient } from "./support/client.ts";
import { type Front, startDirectFront } from "./support/front.ts";
import type { Metrics } from "./support/prometheus.ts";
import { withLogs } from "./support/server-process.ts";
import { startSlidecar } from "./support/slidecar.ts";
import { startSynapse } from "./support/synapse.ts";

const PASSWORD = "correct horse";
/** More than one window, so that the list has to grow. */
const OLD_ROOMS = 24;
/** Messages by turns, before the kill and after it; so many that one slow answer in twenty is more than the first one. */
const TURNS = 60;
/** Sent before the kill, while the front is down, and while it starts; together they fit into one timeline, so that no gap is due. */
const BURST = 6;

/** Seconds from the end of the homeserver's response to the client's answer. */
const UPSTREAM_TO_ANSWER = "slidecar_upstream_to_answer_seconds";

test("the homeserver's own sliding sync lives the thread", async () => {
  await using synapse = await startSynapse({ native: true });
  await using front = await startDirectFront(synapse.url);
  await withLogs([synapse], () => livesTheThread(synapse.url, front));
});

test("Slidecar lives the thread in front of a homeserver without sliding sync", async () => {
  await using synapse = await startSynapse({ native: false });
  await using slidecar = await startSlidecar({ homeserverUrl: synapse.url });
  await withLogs([synapse, slidecar], async () => {
    const metrics: Metrics[] = [];
    const kill = async () => {
      metrics.push(await slidecar.metrics());
      await slidecar.kill();
    };
    await livesTheThread(synapse.url, { ...slidecar, kill });
    metrics.push(await slidecar.metrics());
    // A killed process starts to count anew. Clients are woken by what comes, not by the look that makes up for a lost wake-up.
    for (const seen of metrics) {
      expect(seen.quantileBound(UPSTREAM_TO_ANSWER, 0.95)).toBeLessThanOrEqual(1);
    }
  });
});

/** The life of two clients that know `front.url` alone, through a kill of the front. */
async function livesTheThread(homeserverUrl: string, front: Front): Promise<void> {
  const { carol } = await prepareAccounts(homeserverUrl);
  await using alice = await startClient({ baseUrl: front.url, user: "alice", password: PASSWORD });
  await using bob = await startClient({ baseUrl: front.url, user: "bob", password: PASSWORD });
  await seesItsRooms(alice, OLD_ROOMS);
  await seesItsRooms(bob, 1);
  const roomId = await meetInARoom(alice, bob, carol);
  const sent = await talk(alice, bob, roomId);
  await rename(alice, bob, roomId);
  sent.push(...(await surviveAKill(front, [alice, bob], carol, roomId)));
  sent.push(...(await talk(bob, alice, roomId)));
  for (const robot of [alice, bob]) await lostAndDoubledNothing(robot, homeserverUrl, roomId, sent);
  await leave(alice, bob, roomId);
}

async function prepareAccounts(homeserverUrl: string): Promise<{ carol: Session }> {
  const alice = await register(homeserverUrl, "alice", PASSWORD);
  const bob = await register(homeserverUrl, "bob", PASSWORD);
  const carol = await register(homeserverUrl, "carol", PASSWORD);
  for (let i = 0; i < OLD_ROOMS; i++) await alice.createRoom({ name: `Old room ${i}` });
  await bob.createRoom({ name: "Old room 0" });
  return { carol };
}

async function seesItsRooms(robot: Robot, count: number): Promise<void> {
  await robot.until(() => robot.rooms().length === count, `${count} rooms`);
  const names = Array.from({ length: count }, (_, i) => `Old room ${i}`).sort();
  expect(
    robot
      .rooms()
      .map((room) => room.name)
      .sort(),
  ).toEqual(names);
  expect(robot.rooms().map((room) => room.getMyMembership())).toEqual(names.map(() => "join"));
}

/** Alice makes a room and invites both others; Bob sees the invite with its name and accepts it. */
async function meetInARoom(alice: Robot, bob: Robot, carol: Session): Promise<string> {
  const { room_id: roomId } = await alice.sdk.createRoom({ name: "Lobby", invite: [bob.userId, carol.userId] });
  await alice.until(() => alice.membership(roomId) === "join" && alice.room(roomId)?.name === "Lobby", "the new room");
  await bob.until(() => bob.invites().includes(roomId), "the invite");
  expect(bob.room(roomId)?.name).toBe("Lobby");
  await carol.inRoom("POST", roomId, "join");
  await bob.sdk.joinRoom(roomId);
  await bob.until(() => bob.membership(roomId) === "join" && bob.timelineIds(roomId).length > 1, "the joined room");
  expect(bob.invites()).toEqual([]);
  const bobsMembership = () => alice.state(roomId, "m.room.member", bob.userId)?.membership;
  await alice.until(() => bobsMembership() === "join", "Bob's join");
  return roomId;
}

/** Messages by turns, each of which is awaited by both. Returns their ids. */
async function talk(first: Robot, second: Robot, roomId: string): Promise<string[]> {
  const sent: string[] = [];
  for (let i = 0; i < TURNS; i++) {
    const speaker = i % 2 === 0 ? first : second;
    const { event_id: eventId } = await speaker.sdk.sendTextMessage(roomId, `${speaker.userId} says ${i}`);
    sent.push(eventId);
    for (const robot of [first, second]) {
      await robot.until(() => robot.timelineIds(roomId).includes(eventId), `message ${i} of ${speaker.userId}`);
    }
  }
  return sent;
}

async function rename(alice: Robot, bob: Robot, roomId: string): Promise<void> {
  await alice.sdk.setRoomName(roomId, "Parlour");
  for (const robot of [alice, bob]) await robot.until(() => robot.room(roomId)?.name === "Parlour", "the new name");
}

/** The front is killed and started again while Carol, who speaks to the homeserver, goes on sending. Returns the ids of her messages. */
async function surviveAKill(front: Front, robots: readonly Robot[], carol: Session, roomId: string): Promise<string[]> {
  const sent: string[] = [];
  const say = async (when: string) => {
    for (let i = 0; i < BURST; i++) sent.push(await carol.sendText(roomId, `${when} ${i}`));
  };
  await say("before the kill");
  await front.kill();
  const before = robots.map((robot) => robot.exchanges.length);
  await say("during the outage");
  const ready = front.restart();
  await say("while it starts");
  await ready;
  for (const robot of robots)
    await robot.until(() => holdsAll(robot, roomId, sent), "everything that was said meanwhile");
  robots.forEach((robot, i) => {
    const known = robot.exchanges.slice(0, before[i]).findLast((exchange) => exchange.nextPos !== undefined);
    const resumed = robot.exchanges.slice(before[i]).find((exchange) => exchange.outcome === 200);
    expect(known).toBeDefined();
    expect(resumed?.pos).toBe(known?.nextPos);
  });
  return sent;
}

async function leave(alice: Robot, bob: Robot, roomId: string): Promise<void> {
  await bob.sdk.leave(roomId);
  await bob.until(() => bob.membership(roomId) === "leave", "its own leave");
  const bobsMembership = () => alice.state(roomId, "m.room.member", bob.userId)?.membership;
  await alice.until(() => bobsMembership() === "leave", "Bob's leave");
  expect(alice.membership(roomId)).toBe("join");
}

function holdsAll(robot: Robot, roomId: string, eventIds: readonly string[]): boolean {
  const timeline = new Set(robot.timelineIds(roomId));
  return eventIds.every((id) => timeline.has(id));
}

/** The client's timeline is the homeserver's; each message came in one answer; the connection went on from position to position. */
async function lostAndDoubledNothing(
  robot: Robot,
  homeserverUrl: string,
  roomId: string,
  sent: readonly string[],
): Promise<void> {
  expect(robot.timelineIds(roomId)).toEqual(await homeserverTimeline(robot, homeserverUrl, roomId));
  const delivered = robot.deliveries
    .filter((delivery) => delivery.roomId === roomId)
    .flatMap(({ eventIds }) => eventIds);
  expect(sent.map((id) => delivered.filter((other) => other === id).length)).toEqual(sent.map(() => 1));
  expect(robot.exchanges.map(({ errcode }) => errcode).filter((errcode) => errcode !== undefined)).toEqual([]);
  const [, ...later] = robot.exchanges;
  expect(later.filter((exchange) => exchange.pos === undefined)).toEqual([]);
}

/** All events of the room that this user may see, oldest first. */
async function homeserverTimeline(robot: Robot, homeserverUrl: string, roomId: string): Promise<string[]> {
  const ids: string[] = [];
  let from = "";
  for (;;) {
    const url = `${homeserverUrl}/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=100${from}`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${robot.accessToken}` } });
    const page = (await answer.json()) as { chunk: { event_id: string }[]; end?: string };
    ids.unshift(...page.chunk.map((event) => event.event_id).reverse());
    if (page.end === undefined) return ids;
    from = `&from=${encodeURIComponent(page.end)}`;
  }
}
