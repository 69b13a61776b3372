import { expect, test } from "@jest/globals";
import type { Room } from "matrix-js-sdk";
import type { Session } from "../support/room-life/api.ts";
import type { Robot } from "./support/client.ts";
import { withLogs } from "./support/server-process.ts";
import { type Stage, startSlidecarStage } from "./support/stage.ts";

/** Rooms that are made at the same time, between which there is no order; as many as a client's window grows by. */
const GROUP = 20;
const GROUPS = 25;
const ROOMS = GROUP * GROUPS;
/** Synapse needs 50 ms of a processor for a room. */
const WITHIN_MS = 300_000;

test(
  "an account of 500 rooms is scrolled to its end",
  async () => {
    await using stage = await startSlidecarStage();
    await withLogs([stage], () => scrolls(stage));
  },
  WITHIN_MS,
);

async function scrolls(stage: Stage): Promise<void> {
  const owner = await stage.register("owner");
  for (let group = 0; group < GROUPS; group++) await makeRooms(owner, group);
  const newestFirst = Array.from({ length: GROUPS }, (_, i) => Array(GROUP).fill(nameOf(GROUPS - 1 - i)));
  for (const isKnown of [false, true]) {
    await using robot = await stage.client("owner");
    await robot.until(() => robot.rooms().length === ROOMS, "all rooms");
    expect(new Set(robot.exchanges.flatMap(({ count }) => count ?? []))).toEqual(new Set([ROOMS]));
    expect(robot.deliveries.map(({ roomId }) => roomId).toSorted()).toEqual(idsOf(robot.rooms()).toSorted());
    expect(robot.deliveries.every(({ initial }) => initial)).toBe(true);
    const byActivity = robot.rooms().toSorted((a, b) => (b.getBumpStamp() ?? 0) - (a.getBumpStamp() ?? 0));
    expect(groupsOf(byActivity)).toEqual(newestFirst);
    if (!isKnown) continue; // Of an account that is not known yet some rooms are shown before their order is.
    expect(groupsOf(robot.deliveries.map(({ roomId }) => roomOf(robot, roomId)))).toEqual(newestFirst);
    const oldest = byActivity.at(-1)?.roomId ?? "";
    const eventId = await owner.sendText(oldest, "after all");
    await robot.until(() => robot.timelineIds(oldest).includes(eventId), "a message in the last room");
    const stamps = robot.rooms().map((room) => room.getBumpStamp() ?? 0);
    expect(roomOf(robot, oldest).getBumpStamp()).toBe(Math.max(...stamps));
  }
}

const nameOf = (group: number): string => `Group ${group}`;

function makeRooms(owner: Session, group: number): Promise<string[]> {
  return Promise.all(Array.from({ length: GROUP }, () => owner.createRoom({ name: nameOf(group) })));
}

const idsOf = (rooms: readonly Room[]): string[] => rooms.map(({ roomId }) => roomId);

function roomOf(robot: Robot, roomId: string): Room {
  const room = robot.room(roomId);
  if (room === undefined) throw new Error(`${robot.userId} does not know ${roomId}`);
  return room;
}

/** Names of the rooms, group by group. */
const groupsOf = (rooms: readonly Room[]): string[][] =>
  Array.from({ length: Math.ceil(rooms.length / GROUP) }, (_, i) =>
    rooms.slice(i * GROUP, (i + 1) * GROUP).map(({ name }) => name),
  );
