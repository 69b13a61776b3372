// Rooms for an app to show, and what the homeserver itself says of them.
import { expect } from "@jest/globals";
import type { JsonObject } from "../../support/room-life/api.ts";
import type { Person } from "../conformance/person.ts";
import type { RoomListService } from "./room-list.ts";

/** Rooms are made so many at a time. More: they only wait for each other in the homeserver. */
const AT_ONCE = 4;

const ENCRYPTION = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
export const ENCRYPTED: JsonObject = { initial_state: [ENCRYPTION] };

/** So many rooms of one user, in any order. */
export async function makeRooms(owner: Person, count: number, options: JsonObject = {}): Promise<readonly string[]> {
  const rooms: string[] = [];
  let left = count;
  const makeSome = async () => {
    while (left-- > 0) rooms.push(await owner.room(options));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, makeSome));
  return rooms;
}

/** So many rooms that both are in. */
export async function sharedRooms(owner: Person, guest: Person, count: number): Promise<readonly string[]> {
  const rooms = await makeRooms(owner, count, { preset: "public_chat" });
  for (const roomId of rooms) await guest.join(roomId);
  return rooms;
}

interface Page {
  readonly chunk: readonly { readonly event_id: string }[];
}

/** What the homeserver has of a room before a token, or up to now; oldest first. */
export async function history(reader: Person, roomId: string, before?: string): Promise<readonly string[]> {
  const query = new URLSearchParams({ dir: "b", limit: "1000", ...(before !== undefined && { from: before }) });
  const { chunk } = await reader.session.inRoom<Page>("GET", roomId, `messages?${query}`);
  return chunk.map(({ event_id: id }) => id).toReversed();
}

/** A message as the app has to show it. */
export interface Said {
  readonly roomId: string;
  readonly id: string;
}

/** The app asks until it shows all these messages. */
export async function untilShown(app: RoomListService, said: readonly Said[]): Promise<void> {
  while (!said.every(({ roomId, id }) => app.seen.timeline(roomId).includes(id))) await app.sync();
}

/** Of each room the app shows the newest events, each once, and none is missing between them. */
export async function expectNoneMissing(app: RoomListService, reader: Person, rooms: readonly string[]): Promise<void> {
  for (const roomId of rooms) {
    const shown = app.seen.timeline(roomId);
    expect(shown).not.toEqual([]);
    expect(shown).toEqual((await history(reader, roomId)).slice(-shown.length));
  }
}

/** Of each room the app shows every event once. */
export async function expectWhole(app: RoomListService, reader: Person, rooms: readonly string[]): Promise<void> {
  for (const roomId of rooms) expect(app.seen.timeline(roomId)).toEqual(await history(reader, roomId));
}
