import type { RoomId, RoomNid, UserId } from "../../model/ids.ts";
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
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ResponsePart } from "./part.ts";
import { RoomDraft } from "./room-draft.ts";
import type { Numbers } from "./source.ts";

type Drafts = ReadonlyMap<RoomId, RoomDraft>;

/** What the sections of some parts name. */
interface Named {
  readonly events: readonly ParsedEvent[];
  readonly users: readonly string[];
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
    selectKnownEvents(tx, rooms, [...new Set(events.map(({ eventId }) => eventId))]),
    selectStateValues(tx, stateKeys),
    selectMemberships(tx, users, rooms),
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

const NO_END: RoomEnd = { attestedFor: undefined, activity: 0, bump: 0 };

function namedIn(parts: readonly ResponsePart[], rows: ReadonlyMap<RoomId, RoomRow>): Named {
  const all: ParsedEvent[] = [];
  const users = new Set<string>(parts.map(({ source }) => source.userId));
  const keys = new Map<string, RoomStateKey>();
  const addKey = (room: RoomNid, type: string, stateKey: string) =>
    keys.set(`${room}\0${type}\0${stateKey}`, { room, type, stateKey });
  for (const { source, sections } of parts) {
    for (const { roomId, state, timeline } of sections) {
      const room = rows.get(roomId)?.room;
      if (room === undefined) continue;
      addKey(room, MEMBER, source.userId);
      for (const event of [...state, ...timeline]) {
        all.push(event);
        if (event.stateKey === undefined) continue;
        addKey(room, event.type, event.stateKey);
        if (event.type === MEMBER) users.add(event.stateKey as UserId);
      }
    }
  }
  return { events: all, users: [...users], stateKeys: [...keys.values()] };
}

const MEMBER = "m.room.member";
