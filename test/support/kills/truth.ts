// What the homeserver says, told as ids and texts that can be compared with a store and with a client.
import type { JsonObject } from "../homeserver/json.ts";
import type { Robot, SyncedRoom } from "../homeserver/robot.ts";
import type { Delivered, HomeserverRelay } from "./homeserver-relay.ts";

/** Events of a room that are compared, the newest ones. Far more than happens in a round. */
export const COMPARED_EVENTS = 100;

export interface RoomTruth {
  /** Event ids, the oldest first: the newest ones, and of those what happened since the start. */
  readonly timeline: readonly string[];
  /** Event ids by type and state key. */
  readonly state: ReadonlyMap<string, string>;
  readonly joinedCount: number;
  readonly notificationCount: number;
  /** JSON by type. */
  readonly accountData: ReadonlyMap<string, string>;
  /** Event ids by user, type and thread. */
  readonly receipts: ReadonlyMap<string, string>;
}

export interface Truth {
  readonly rooms: ReadonlyMap<string, RoomTruth>;
  readonly accountData: ReadonlyMap<string, string>;
  readonly invites: number;
}

/** No question is asked twice, since its answer would be the same for a while. */
let questions = 0;

/** The newest event of each room. */
export type Floors = ReadonlyMap<string, string>;

export async function readFloors(owner: Robot): Promise<Floors> {
  const { rooms } = await readTruth(owner, new Map());
  return new Map([...rooms].map(([roomId, { timeline }]) => [roomId, timeline.at(-1) ?? ""]));
}

/** Asks the homeserver as a device that the product does not know. */
export async function readTruth(owner: Robot, floors: Floors): Promise<Truth> {
  questions += 1;
  const timeline = { limit: 1, unread_thread_notifications: true };
  const sync = await owner.sync({ timeout: questions, filter: { presence: { types: [] }, room: { timeline } } });
  const joined = Object.entries(sync.rooms?.join ?? {});
  const rooms = await Promise.all(
    joined.map(async ([roomId, room]) => [roomId, await readRoom(owner, roomId, room, floors)] as const),
  );
  return {
    rooms: new Map(rooms),
    accountData: byType(sync.account_data?.events ?? []),
    invites: Object.keys(sync.rooms?.invite ?? {}).length,
  };
}

async function readRoom(owner: Robot, roomId: string, room: SyncedRoom, floors: Floors): Promise<RoomTruth> {
  const page = await owner.messages(roomId, { limit: String(COMPARED_EVENTS) });
  const ids = page.chunk.map(({ event_id: id }) => id).reverse();
  const state = await owner.state(roomId);
  return {
    timeline: ids.slice(ids.indexOf(floors.get(roomId) ?? "") + 1),
    state: new Map(state.map((event) => [`${event.type}\0${event.state_key}`, event.event_id])),
    joinedCount: state.filter(({ type, content }) => type === "m.room.member" && content.membership === "join").length,
    notificationCount: room.unread_notifications.notification_count,
    accountData: byType(room.account_data.events),
    receipts: receiptsOf(room.ephemeral.events),
  };
}

const byType = (events: readonly { readonly type: string; readonly content: JsonObject }[]) =>
  new Map(events.map(({ type, content }) => [type, JSON.stringify(content)]));

function receiptsOf(events: SyncedRoom["ephemeral"]["events"]): Map<string, string> {
  const found = new Map<string, string>();
  const entries = (value: unknown) => Object.entries(value as JsonObject);
  for (const { content } of events.filter(({ type }) => type === "m.receipt")) {
    for (const [eventId, byReceipt] of entries(content)) {
      for (const [type, byUser] of entries(byReceipt)) {
        for (const [user, receipt] of entries(byUser)) {
          const { thread_id: thread = "" } = receipt as { readonly thread_id?: string };
          found.set([user, type, thread].join(" "), eventId);
        }
      }
    }
  }
  return found;
}

/**
 * The responses that a stream consists of: each goes on where the one before it ended. Of several answers to one `since`,
 * that one counts whose end was asked for later, or is where the stream stands now.
 */
export function acceptedOf(relay: HomeserverRelay, token: string, stands: string): readonly Delivered[] {
  const asked = relay.asked(token);
  const bySince = Map.groupBy(relay.delivered(token), ({ since }) => since);
  const accepted: Delivered[] = [];
  let at: string | undefined;
  while (at !== stands) {
    const next = bySince
      .get(at)
      ?.findLast(({ nextBatch }) => nextBatch !== at && (nextBatch === stands || asked.has(nextBatch)));
    if (next === undefined) throw new Error(`no response leads from ${at} to ${stands}`);
    accepted.push(next);
    at = next.nextBatch;
  }
  return accepted;
}
