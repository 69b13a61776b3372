import type { EventId, RoomId, RoomNid } from "../../model/ids.ts";
import type { RoomEnd } from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import type { Tx } from "../../store/database.ts";
import { checkClaim } from "../../store/device-stream.ts";
import {
  type RoomStateKey,
  selectKnownEvents,
  selectMemberships,
  selectRoomEnds,
  selectStateValues,
} from "../../store/known-facts.ts";
import { lockRooms } from "../../store/room-rows.ts";
import type { ResponsePart } from "./part.ts";
import { RoomDraft } from "./room-draft.ts";
import type { Numbers } from "./source.ts";

type Drafts = ReadonlyMap<RoomId, RoomDraft>;

/** What the sections of some parts name, and what stands right before them. */
interface Named {
  readonly events: ReadonlySet<EventId>;
  readonly users: ReadonlySet<string>;
  readonly stateKeys: readonly RoomStateKey[];
}

/**
 * Locks the rooms of the parts and reads what their sections may touch; makes sure that parts which do not move their
 * stream on are still wanted.
 */
export async function readDrafts(tx: Tx, parts: readonly ResponsePart[], numbers: Numbers): Promise<Drafts> {
  const sections = parts.flatMap((part) => part.sections);
  if (sections.length === 0) return new Map();
  const locked = await lockRooms(
    tx,
    sections.map(({ roomId }) => roomId),
  );
  const rooms = [...locked.values()].map(({ room }) => room);
  const { events, users, stateKeys } = namedIn(parts, locked);
  // Each is a statement of its own after the lock, so that it sees what the last holder of the lock stored.
  const [ends, known, state, memberships] = await Promise.all([
    selectRoomEnds(tx, rooms),
    selectKnownEvents(tx, rooms, [...events]),
    selectStateValues(tx, stateKeys),
    selectMemberships(tx, [...users], rooms),
    ...parts.filter(({ end }) => end === undefined).map(({ claim }) => checkClaim(tx, claim)),
  ]);
  const draftOf = (row: RoomRow): RoomDraft =>
    new RoomDraft(
      {
        row,
        end: ends.get(row.room) ?? NO_END,
        known: known.get(row.room) ?? new Map(),
        state: state.get(row.room) ?? new Map(),
        memberships: memberships.get(row.room) ?? new Map(),
      },
      numbers,
    );
  return new Map([...locked].map(([roomId, row]) => [roomId, draftOf(row)]));
}

const NO_END: RoomEnd = { attestedFor: undefined, continues: false, activity: 0, bump: 0 };

function namedIn(parts: readonly ResponsePart[], rows: ReadonlyMap<RoomId, RoomRow>): Named {
  const events = new Set<EventId>();
  const users = new Set<string>();
  const keys = new Map<string, RoomStateKey>();
  const addState = (room: RoomNid, type: string, stateKey: string) => {
    keys.set(`${room}\0${type}\0${stateKey}`, { room, type, stateKey });
    if (type === "m.room.member") users.add(stateKey);
  };
  for (const { source, sections } of parts) {
    for (const { roomId, state, timeline } of sections) {
      const room = rows.get(roomId)?.room;
      if (room === undefined) continue;
      addState(room, "m.room.member", source.userId);
      const last = source.lastSeen.get(roomId);
      if (last !== undefined) events.add(last);
      for (const { eventId, type, stateKey } of [...state, ...timeline]) {
        events.add(eventId);
        if (stateKey !== undefined) addState(room, type, stateKey);
      }
    }
  }
  return { events, users, stateKeys: [...keys.values()] };
}
