import { addReceipt } from "../ephemeral.ts";
import { membershipOf, type StoredEvent } from "../event.ts";
import type { Random } from "../random.ts";
import type { Room } from "../room.ts";
import type { User } from "../user.ts";
import type { World } from "../world.ts";
import { edit, message, reaction } from "./messages.ts";
import { roomName, roomTopic } from "./vocabulary.ts";

/** Rooms are drawn with this power of a uniform draw: most of what happens does so in few rooms. */
const SKEW = 3;

/** How far back a reaction or an edit reaches. */
const REACH = 10;

export interface Life {
  readonly world: World;
  readonly random: Random;
  readonly rooms: readonly Room[];
  readonly owner: User;
}

/** One thing that happens in one of the rooms, by one of its members. */
export function happen(life: Life): void {
  const { world, random, rooms } = life;
  const room = rooms[Math.floor(rooms.length * random.unit() ** SKEW)];
  if (room === undefined) return;
  const sender = random.pick(room.joinedMembers());
  const draw = random.unit();
  const recent = random.pick(room.timeline.slice(-REACH));
  if (draw < 0.08) world.append(room, reaction(random, sender, recent));
  else if (draw < 0.13 && isEditable(recent)) world.append(room, edit(random, recent));
  else if (draw < 0.15) changeMember(life, room);
  else if (draw < 0.16) changeTopic(life, room);
  else if (draw < 0.22) read(life, room, sender);
  else world.append(room, message(random, room, sender));
}

function isEditable(event: StoredEvent): boolean {
  return (
    event.type === "m.room.message" &&
    event.content["m.relates_to"] === undefined &&
    event.redactedBecause === undefined
  );
}

/** A member leaves, one who left comes back, or somebody takes another name. The owner stays. */
function changeMember({ world, random, owner }: Life, room: Room): void {
  const others = [...room.members.values()].filter(({ stateKey }) => stateKey !== owner.userId);
  const current = others[random.below(others.length)];
  if (current?.stateKey === undefined) return;
  const draft = { type: "m.room.member", sender: current.stateKey, stateKey: current.stateKey };
  const { displayname } = world.users.get(current.stateKey) ?? { displayname: current.stateKey };
  if (membershipOf(current) !== "join") world.append(room, { ...draft, content: { membership: "join", displayname } });
  else if (random.chance(0.5) && others.length > 1) world.append(room, { ...draft, content: { membership: "leave" } });
  else {
    const renamed = `${displayname} (${random.pick(["away", "at work", "on tour", "busy"])})`;
    world.append(room, { ...draft, content: { membership: "join", displayname: renamed } });
  }
}

function changeTopic({ world, random, owner }: Life, room: Room): void {
  const topic = roomTopic(random, roomName(random));
  world.append(room, { type: "m.room.topic", sender: owner.userId, stateKey: "", content: { topic } });
}

function read({ world }: Life, room: Room, userId: string): void {
  const user = world.users.get(userId);
  const last = room.timeline.at(-1);
  if (user !== undefined && last !== undefined) addReceipt(world, room, user, "m.read", last.eventId);
}
