import { expect } from "@jest/globals";
import { type Answer, countOf, roomIdsIn, roomIn, type WireEvent } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";
import { fooList } from "./core.ts";

/** Everything, so that what is missing was not to be had. */
const ALL = fooList({ timeline_limit: 3, required_state: [["*", "*"]] });

/** user1 is invited to a room of user2 where something happened before, and goes on to happen. */
async function invitedTo(world: World, visibility: "shared" | "world_readable") {
  const [user1, user2] = await world.pair();
  const content = { history_visibility: visibility };
  const roomId = await user2.room({
    initial_state: [{ type: "m.room.history_visibility", state_key: "", content }],
  });
  await user2.say(roomId, "before the invite");
  await user2.invite(roomId, user1);
  await user2.say(roomId, "after the invite");
  return { user1, user2, roomId };
}

/** What clients read of a stripped event. */
const stripped = ({ type, state_key, sender, content }: WireEvent) => ({ type, state_key, sender, content });

const byKey = (a: WireEvent, b: WireEvent): number =>
  `${a.type} ${a.state_key}`.localeCompare(`${b.type} ${b.state_key}`);

/** An answer shows an invite by four stripped events and nothing else of the room. */
async function expectInvite(answer: Answer, roomId: string, from: Person, to: Person): Promise<void> {
  const room = roomIn(answer, roomId);
  const shown = [
    await from.state(roomId, "m.room.create"),
    await from.state(roomId, "m.room.join_rules"),
    await from.state(roomId, "m.room.member", from.id),
    await from.state(roomId, "m.room.member", to.id),
  ];
  expect(room.invite_state?.toSorted(byKey).map(stripped)).toEqual(shown.toSorted(byKey).map(stripped));
  for (const key of ["timeline", "num_live", "limited", "prev_batch", "required_state"]) {
    expect(room).not.toHaveProperty(key);
  }
}

async function isShownAtFirst(world: World, visibility: "shared" | "world_readable"): Promise<void> {
  const { user1, user2, roomId } = await invitedTo(world, visibility);
  await expectInvite(await user1.sync(ALL), roomId, user2, user1);
}

async function isRepeated(world: World, visibility: "shared" | "world_readable"): Promise<void> {
  const { user1, user2, roomId } = await invitedTo(world, visibility);
  const first = await user1.sync(ALL);
  await expectInvite(first, roomId, user2, user1);
  await user2.say(roomId, "unseen");
  const next = await user1.sync(ALL, { pos: first.pos });
  await expectInvite(next, roomId, user2, user1);
}

async function isToldOnce(world: World, visibility: "shared" | "world_readable"): Promise<void> {
  const { user1, user2, roomId } = await invitedTo(world, visibility);
  const first = await user1.sync(ALL);
  await expectInvite(first, roomId, user2, user1);
  await user2.say(roomId, "unseen");
  const next = await user1.sync(ALL, { pos: first.pos });
  expect(roomIdsIn(next)).toEqual([]);
  expect(countOf(next)).toBe(1);
  await expectInvite(await user1.sync(ALL), roomId, user2, user1);
}

const TOLD_ONCE =
  "An invite is told once, since nothing of it has changed: v2 /sync tells an invited user its stripped state and nothing of " +
  "what goes on in the room (docs/limits.md, no. 27), which is not theirs to see.";

export const inviteRows: readonly Row[] = [
  {
    number: 53,
    title: "An invite to a room with shared history shows four stripped events and nothing of its timeline",
    run: (world) => isShownAtFirst(world, "shared"),
  },
  {
    number: 54,
    title: "An invite to a room with shared history is shown again, the same, when the room goes on",
    run: (world) => isRepeated(world, "shared"),
    differs: { reason: TOLD_ONCE, run: (world) => isToldOnce(world, "shared") },
  },
  {
    number: 55,
    title: "An invite to a world-readable room shows four stripped events and nothing of its timeline",
    run: (world) => isShownAtFirst(world, "world_readable"),
  },
  {
    number: 56,
    title: "An invite to a world-readable room is shown again, the same, when the room goes on",
    run: (world) => isRepeated(world, "world_readable"),
    differs: { reason: TOLD_ONCE, run: (world) => isToldOnce(world, "world_readable") },
  },
];
