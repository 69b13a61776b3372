import type { DeviceNid, RoomNid, UserNid } from "./ids.ts";
import type { StreamPosition } from "./stream-position.ts";

/** What kind of fact a batch holds. Numbers are stored: append only. */
export const ChangeStream = {
  /** Events, state, members, counts of a room: for every reader of the room. */
  room: 1,
  /** Own membership, unread counts, stripped state: for one user in one room, or in many (`rooms`). */
  membership: 2,
  /** Account data of a user, global or of one room. */
  accountData: 3,
  receipts: 4,
  typing: 5,
  /** To-device messages of one device. */
  toDevice: 6,
  /** Device lists of one device. */
  deviceLists: 7,
  /** Key counts and fallback key types of one device. */
  keys: 8,
  /** A device's first sync, or its catch-up after idleness, was stored to its end. */
  synced: 9,
  /** A device's first window was stored ahead of its first sync. */
  window: 10,
  /** History, or a room that a user's answer lacked was asked for, be it in vain; what came is a change of its own. */
  history: 11,
  /** One of the user's devices brought an event that the user sent, after another user's stream had. */
  sent: 12,
} as const;
export type ChangeStream = (typeof ChangeStream)[keyof typeof ChangeStream];

/** What a reader with a memory of the room has to look at. Bits. */
export const ChangeFlag = {
  /** The timeline got new events at its end: the room moves to the front of lists. */
  activity: 1,
  /** Among them is one that counts for `bump_stamp`. */
  bump: 2,
  /** Columns of the room (name, counts, encryption …) changed. */
  columns: 4,
  /** State changed. */
  state: 8,
  /** Events were put before or between known ones, or a stored event was rewritten: forget what is in memory. */
  history: 16,
  /** Of `keys`: an algorithm has fewer one-time keys than before, a fallback key was used, or they are known for the first time. */
  fewerKeys: 32,
} as const;

/** One row of the `changes` table. */
export interface Change {
  readonly position: StreamPosition;
  readonly batch: number;
  readonly stream: ChangeStream;
  readonly room: RoomNid | undefined;
  /** Instead of `room`: all rooms in which something changed for the user. */
  readonly rooms: readonly RoomNid[] | undefined;
  readonly userNid: UserNid | undefined;
  readonly deviceNid: DeviceNid | undefined;
  readonly flags: number;
  /** When the last byte of the homeserver's response was read, in microseconds since 1970. */
  readonly receivedUs: number | undefined;
}
