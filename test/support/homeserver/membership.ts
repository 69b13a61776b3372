import { type Membership, membershipOf, type StoredEvent } from "./event.ts";
import type { JsonObject } from "./json.ts";
import { banned, forbidden, MatrixError } from "./matrix-error.ts";
import { powerLevels } from "./power.ts";
import type { Room } from "./room.ts";
import { strippedState } from "./stripped.ts";
import type { User } from "./user.ts";
import type { World } from "./world.ts";

export interface MembershipExtras {
  readonly reason?: string | undefined;
  readonly isDirect?: boolean | undefined;
}

function profileContent(user: User | undefined): JsonObject {
  return {
    ...(user?.displayname === undefined ? {} : { displayname: user.displayname }),
    ...(user?.avatarUrl === undefined ? {} : { avatar_url: user.avatarUrl }),
  };
}

function memberContent(membership: Membership, profile: JsonObject, extras: MembershipExtras): JsonObject {
  return {
    membership,
    ...profile,
    ...(extras.isDirect === true ? { is_direct: true } : {}),
    ...(extras.reason === undefined ? {} : { reason: extras.reason }),
  };
}

export function join(world: World, room: Room, user: User, extras: MembershipExtras = {}): StoredEvent {
  const before = room.membership(user.userId);
  const rule = room.state("m.room.join_rules")?.content.join_rule;
  const isCreator = room.timeline.length === 1 && room.state("m.room.create")?.sender === user.userId;
  if (before === "ban") throw banned("join");
  if (before !== "join" && before !== "invite" && rule !== "public" && !isCreator) {
    throw forbidden("You are not invited to this room.");
  }
  const content = memberContent("join", profileContent(user), extras);
  const current = room.members.get(user.userId);
  // Joining twice changes nothing and makes no event.
  if (current !== undefined && before === "join") return current;
  return member(world, room, user.userId, user.userId, content);
}

export function invite(
  world: World,
  room: Room,
  sender: User,
  target: string,
  extras: MembershipExtras = {},
): StoredEvent {
  requireJoined(room, sender.userId);
  const before = room.membership(target);
  if (before === "ban") throw banned("invite");
  if (before === "join") throw forbidden(`${target} is already in the room.`);
  const levels = powerLevels(room);
  if (levels.of(sender.userId) < levels.invite) throw forbidden("You don't have permission to invite users");
  const content = memberContent("invite", profileContent(world.users.get(target)), extras);
  return member(world, room, sender.userId, target, content, strippedState(room, sender.userId));
}

export function leave(world: World, roomId: string, user: User, extras: MembershipExtras = {}): StoredEvent {
  const own = user.memberships.get(roomId);
  const room = world.rooms.get(roomId);
  if (room === undefined) throw new MatrixError(404, "M_UNKNOWN", "Not a known room");
  // Leaving again is no event; leaving after a kick is refused.
  if (own?.membership === "leave" && own.event.sender === user.userId) return own.event;
  if (own === undefined || own.membership === "leave" || own.membership === "ban") {
    throw forbidden(`${user.userId} not in room ${roomId}.`);
  }
  const content = memberContent("leave", {}, extras);
  const isOutOfBand = own.event.oddity?.outlier === true;
  if (!isOutOfBand) return member(world, room, user.userId, user.userId, content);
  const draft = { type: "m.room.member", sender: user.userId, stateKey: user.userId, content };
  return world.append(room, { ...draft, oddity: { outlier: true } });
}

export function knock(world: World, room: Room, user: User, extras: MembershipExtras = {}): StoredEvent {
  const before = room.membership(user.userId);
  if (before === "ban") throw banned("knock");
  if (room.state("m.room.join_rules")?.content.join_rule !== "knock" || before === "join" || before === "invite") {
    throw forbidden("You don't have permission to knock");
  }
  const content = memberContent("knock", profileContent(user), extras);
  return member(world, room, user.userId, user.userId, content, strippedState(room, undefined));
}

/** Kick, ban and unban: all are member events that one user writes about another. */
export function expel(
  world: World,
  room: Room,
  sender: User,
  target: string,
  change: "kick" | "ban" | "unban",
  extras: MembershipExtras = {},
): StoredEvent {
  requireJoined(room, sender.userId);
  const levels = powerLevels(room);
  const before = room.membership(target);
  if (change === "kick" && before === "ban") throw banned("kick");
  if (change === "kick" && before === "leave") throw forbidden("The target user is not in the room");
  const needed = change === "kick" ? levels.kick : levels.ban;
  if (levels.of(sender.userId) < needed || levels.of(sender.userId) <= levels.of(target)) {
    throw forbidden(change === "kick" ? `You cannot kick user ${target}.` : `You don't have permission to ${change}`);
  }
  // Synapse lifts a ban that is not there by writing that the target left.
  const membership = change === "ban" ? "ban" : "leave";
  return member(world, room, sender.userId, target, memberContent(membership, {}, extras));
}

/** Writes the current profile into every room that the user is joined to. */
export function announceProfile(world: World, user: User): void {
  for (const roomId of user.joinedRooms()) {
    const content = memberContent("join", profileContent(user), {});
    member(world, world.room(roomId), user.userId, user.userId, content);
  }
}

export function requireJoined(room: Room, userId: string): void {
  if (membershipOf(room.members.get(userId)) !== "join") throw forbidden(`User ${userId} not in room ${room.id}`);
}

function member(
  world: World,
  room: Room,
  sender: string,
  target: string,
  content: JsonObject,
  stripped?: readonly JsonObject[],
): StoredEvent {
  const oddity = stripped === undefined ? undefined : { strippedState: stripped };
  return world.append(room, { type: "m.room.member", sender, stateKey: target, content, oddity });
}
