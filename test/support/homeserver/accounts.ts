import { isObject, type JsonObject, stringOr } from "./json.ts";
import { MatrixError } from "./matrix-error.ts";
import { Device, User } from "./user.ts";
import type { World } from "./world.ts";

export interface Session {
  readonly user: User;
  readonly device: Device;
  readonly token: string;
}

export function addUser(world: World, localpart: string, password: string): User {
  const userId = `@${localpart}:${world.serverName}`;
  if (world.users.has(userId)) throw new MatrixError(400, "M_USER_IN_USE", "User ID already taken.");
  if (!/^[a-z0-9._=/+-]+$/.test(localpart)) {
    throw new MatrixError(400, "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'");
  }
  const user = new User(userId, localpart, password);
  world.users.set(userId, user);
  return user;
}

/** A token for a device, which is made when it is not there yet. */
export function logIn(world: World, user: User, deviceId: string | undefined, given?: string): Session {
  const id = deviceId ?? world.ids.device();
  let device = user.devices.get(id);
  if (device === undefined) {
    device = new Device(user, id);
    user.devices.set(id, device);
    touchDeviceList(world, user);
  }
  const token = given ?? world.profile.accessToken(user.localpart, world.ids.word);
  world.access.set(token, { device });
  return { user, device, token };
}

/** Ends a device for good: its tokens, its queue and its keys are gone. */
export function removeDevice(world: World, device: Device): void {
  device.user.devices.delete(device.deviceId);
  for (const [token, access] of world.access) if (access.device === device) world.access.delete(token);
  touchDeviceList(world, device.user);
}

export function touchDeviceList(world: World, user: User): void {
  world.streams.deviceList += 1;
  user.deviceListPosition = world.streams.deviceList;
  world.wakeUp.wake(user.userId);
  for (const roomId of user.joinedRooms()) world.wakeRoom(world.room(roomId));
}

/** The user that a login names: a bare localpart, a full id, or an `m.id.user` identifier. */
export function namedUser(world: World, body: JsonObject): User | undefined {
  const identifier = isObject(body.identifier) ? body.identifier : { user: body.user };
  const name = stringOr(identifier.user, "");
  return world.users.get(name.startsWith("@") ? name : `@${name}:${world.serverName}`);
}
