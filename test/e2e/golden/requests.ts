// What matrix-rust-sdk asks for, with its keys in the order in which it writes them.
import { ROOM_LIST_STATE, type StateSelectors } from "../../support/element-x-state.ts";
import type { JsonObject } from "../../support/room-life/api.ts";

const OPEN_ROOM_STATE: StateSelectors = [...ROOM_LIST_STATE, ["m.room.pinned_events", ""]];

const NOTIFICATION_STATE: StateSelectors = [
  ["m.room.encryption", ""],
  ["m.room.member", "$LAZY"],
  ["m.room.member", "$ME"],
  ["m.room.canonical_alias", ""],
  ["m.room.name", ""],
  ["m.room.avatar", ""],
  ["m.room.power_levels", ""],
  ["m.room.join_rules", ""],
  ["org.matrix.msc3401.call.member", "*"],
  ["m.room.create", ""],
  ["io.element.functional_members", ""],
];

interface RoomListParameters {
  /** The last room of the list that is asked for. */
  readonly end: number;
  /** Rooms that the app shows. */
  readonly subscriptions: readonly string[];
  /** Whether the app has switched on what servers rarely have. */
  readonly hasAllExtensions: boolean;
}

export const roomListBody = ({ end, subscriptions, hasAllExtensions }: RoomListParameters): JsonObject => ({
  conn_id: "room-list",
  lists: { all_rooms: { ranges: [[0, end]], required_state: ROOM_LIST_STATE, timeline_limit: 1, filters: {} } },
  ...subscribed(subscriptions, { required_state: OPEN_ROOM_STATE, timeline_limit: 20 }),
  extensions: {
    account_data: { enabled: true },
    receipts: { enabled: true, rooms: ["*"] },
    typing: { enabled: true },
    ...(hasAllExtensions && {
      "io.element.msc4308.thread_subscriptions": { enabled: true, limit: 10 },
      "org.matrix.msc4262.profiles": { enabled: true },
    }),
  },
});

export const encryptionBody = (since: string | undefined): JsonObject => ({
  conn_id: "encryption",
  extensions: { to_device: { enabled: true, ...(since !== undefined && { since }) }, e2ee: { enabled: true } },
});

/** One push tells of some rooms. */
export const notificationBody = (roomIds: readonly string[]): JsonObject => ({
  conn_id: "notifications",
  lists: {
    invites: {
      ranges: [[0, 16]],
      required_state: NOTIFICATION_STATE,
      timeline_limit: 8,
      filters: { is_invite: true },
    },
  },
  ...subscribed(roomIds, { required_state: NOTIFICATION_STATE, timeline_limit: 16 }),
  extensions: { account_data: { enabled: true } },
});

/** The SDK keeps rooms sorted, and leaves out what is empty. */
const subscribed = (roomIds: readonly string[], config: JsonObject): JsonObject =>
  roomIds.length === 0
    ? {}
    : { room_subscriptions: Object.fromEntries(roomIds.toSorted().map((roomId) => [roomId, config])) };
