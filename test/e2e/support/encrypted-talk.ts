// What clients do in encrypted rooms.
import type { ICreateRoomOpts, MatrixEvent } from "matrix-js-sdk";
import type { CryptoApi } from "matrix-js-sdk/lib/crypto-api/index.js";
import type { Session } from "../../support/room-life/api.ts";
import type { Robot } from "./client.ts";

/** How an encrypted room is made. */
export type EncryptedRoomOptions = ICreateRoomOpts & {
  /** Messages by one key. */
  messagesByKey?: number;
};

export function cryptoOf({ sdk, userId }: Robot): CryptoApi {
  const crypto = sdk.getCrypto();
  if (crypto === undefined) throw new Error(`${userId} has no encryption`);
  return crypto;
}

/** An encrypted room to which the guests are invited; resolves when each of them knows of it. */
export async function invitedToEncrypted(
  owner: Robot,
  guests: readonly Robot[],
  { messagesByKey, ...options }: EncryptedRoomOptions = {},
): Promise<string> {
  const content = { algorithm: "m.megolm.v1.aes-sha2", rotation_period_msgs: messagesByKey };
  const { room_id: roomId } = await owner.sdk.createRoom({
    invite: guests.map(({ userId }) => userId),
    initial_state: [{ type: "m.room.encryption", state_key: "", content }],
    ...options,
  });
  await encrypts(owner, roomId);
  for (const guest of guests) await guest.until(() => guest.membership(roomId) === "invite", "the invite");
  return roomId;
}

/** An encrypted room in which all are. */
export async function encryptedRoom(
  owner: Robot,
  guests: readonly Robot[],
  options: EncryptedRoomOptions = {},
): Promise<string> {
  const roomId = await invitedToEncrypted(owner, guests, options);
  for (const guest of guests) await joins(guest, roomId);
  for (const robot of [owner, ...guests]) {
    for (const { userId } of guests) await robot.until(() => memberOf(robot, roomId, userId) === "join", userId);
  }
  return roomId;
}

export async function joins(guest: Robot, roomId: string): Promise<void> {
  await guest.sdk.joinRoom(roomId);
  await guest.until(() => guest.membership(roomId) === "join", "the joined room");
  await encrypts(guest, roomId);
}

/** Until then a client would refuse to send. */
export const encrypts = (robot: Robot, roomId: string): Promise<void> =>
  robot.until(() => cryptoOf(robot).isEncryptionEnabledInRoom(roomId), "the encrypted room");

export const memberOf = (robot: Robot, roomId: string, userId: string): string | undefined =>
  robot.room(roomId)?.getMember(userId)?.membership;

/** What an encrypted message says; undefined: it cannot be read yet, or is none. */
export function readable(robot: Robot, roomId: string, eventId: string): unknown {
  const event = eventOf(robot, roomId, eventId);
  return event?.isEncrypted() === true && !event.isDecryptionFailure() ? event.getContent().body : undefined;
}

const eventOf = (robot: Robot, roomId: string, eventId: string): MatrixEvent | undefined =>
  robot.room(roomId)?.findEventById(eventId);

/** Says it; resolves when each of the readers, of whom the speaker may be one, has read it. */
export async function tell(speaker: Robot, readers: readonly Robot[], roomId: string, text: string): Promise<string> {
  const { event_id: eventId } = await speaker.sdk.sendTextMessage(roomId, text);
  await allRead(readers, roomId, eventId, text);
  return eventId;
}

export async function allRead(readers: readonly Robot[], roomId: string, eventId: string, text: string): Promise<void> {
  for (const robot of readers) {
    await robot.until(() => readable(robot, roomId, eventId) === text, `"${text}", decrypted`);
  }
}

/** The room key that an event was encrypted by. */
export const keyOf = (robot: Robot, roomId: string, eventId: string): unknown =>
  eventOf(robot, roomId, eventId)?.getWireContent().session_id;

export async function hasKey(robot: Robot, sessionId: unknown): Promise<boolean> {
  return (await cryptoOf(robot).exportRoomKeys()).some((session) => session.session_id === sessionId);
}

/** Ids of all events of the room, the oldest first. */
export async function homeserverOrder(session: Session, roomId: string): Promise<string[]> {
  const ids: string[] = [];
  for (let from: string | undefined = ""; from !== undefined; ) {
    const path = `messages?dir=b&limit=1000${from === "" ? "" : `&from=${encodeURIComponent(from)}`}`;
    const page: { chunk: readonly { event_id: string }[]; end?: string } = await session.inRoom("GET", roomId, path);
    ids.unshift(...page.chunk.map((event) => event.event_id).reverse());
    from = page.end;
  }
  return ids;
}

/** By what is said in rooms and told to its device, not by asking the homeserver now. */
export async function knowsDevice(robot: Robot, { userId, deviceId }: Robot): Promise<boolean> {
  const devices = await cryptoOf(robot).getUserDeviceInfo([userId]);
  return devices.get(userId)?.has(deviceId) ?? false;
}
