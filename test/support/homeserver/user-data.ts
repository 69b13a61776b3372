import { isObject, type JsonObject } from "./json.ts";
import type { User } from "./user.ts";
import type { World } from "./world.ts";

export function setAccountData(world: World, user: User, type: string, content: JsonObject): void {
  world.streams.accountData += 1;
  const position = world.streams.accountData;
  user.accountData.delete(type);
  user.accountData.set(type, { content, position });
  if (type === "m.ignored_user_list") {
    settleUnread(world, user);
    const ignored = isObject(content.ignored_users) ? Object.keys(content.ignored_users) : [];
    user.ignored = new Set(ignored.filter((userId) => userId !== user.userId));
    for (const userId of user.ignored) user.hasIgnored.add(userId);
    user.ignoredPosition = position;
  }
  world.wakeUp.wake(user.userId);
}

export function setRoomAccountData(world: World, user: User, roomId: string, type: string, content: JsonObject): void {
  const position = noteRoomData(world, user, roomId);
  const ofRoom = user.roomAccountData.get(roomId) ?? new Map();
  ofRoom.set(type, { content, position });
  user.roomAccountData.set(roomId, ofRoom);
  world.wakeUp.wake(user.userId);
}

export function setTags(world: World, user: User, roomId: string, tags: JsonObject): void {
  user.tags.set(roomId, { tags, position: noteRoomData(world, user, roomId) });
  world.wakeUp.wake(user.userId);
}

/** A change to the user's push rules, or to what is changed of the defaults. */
export function changePushRules(world: World, user: User, change: () => void): void {
  settleUnread(world, user);
  change();
  world.streams.pushRules += 1;
  user.pushRulesPosition = world.streams.pushRules;
  world.wakeUp.wake(user.userId);
}

function settleUnread(world: World, user: User): void {
  const rooms = user.joinedRooms().map((roomId) => world.room(roomId));
  world.unread.settle(user, rooms);
}

function noteRoomData(world: World, user: User, roomId: string): number {
  world.streams.accountData += 1;
  user.roomDataLog.push({ position: world.streams.accountData, roomId });
  return world.streams.accountData;
}

export function sendToDevices(
  world: World,
  sender: User,
  type: string,
  messages: ReadonlyMap<string, JsonObject>,
): void {
  world.streams.toDevice += 1;
  const position = world.streams.toDevice;
  for (const [userId, byDevice] of messages) {
    const user = world.users.get(userId);
    if (user === undefined) continue;
    for (const device of user.devices.values()) {
      const content = byDevice[device.deviceId] ?? byDevice["*"];
      if (isObject(content)) device.inbox.push({ position, message: { content, type, sender: sender.userId } });
    }
    world.wakeUp.wake(userId);
  }
}
