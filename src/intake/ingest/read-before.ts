import type { DeviceNid, EventId, RoomId } from "../../model/ids.ts";
import type { RoomEnd } from "../../model/room-facts.ts";
import type { Tx } from "../../store/database.ts";
import { checkClaim, type DeviceRow, FencedError, lockDevices } from "../../store/device-stream.ts";
import {
  type RoomStateKey,
  selectKnownEvents,
  selectMemberships,
  selectRoomEnds,
  selectStateValues,
} from "../../store/known-facts.ts";
import {
  type AccountDataKey,
  lockUsers,
  type ReceiptKey,
  selectKnownAccountData,
  selectKnownReceipts,
  selectKnownTyping,
} from "../../store/known-personal.ts";
import { selectRedacted, selectTexts } from "../../store/redactions.ts";
import { lockRooms } from "../../store/room-rows.ts";
import type { Contest } from "./contest.ts";
import type { Drafts } from "./fold-parts.ts";
import { contestsOfLeftOut } from "./left-out.ts";
import { namedRedactions } from "./named-redactions.ts";
import type { ResponsePart } from "./part.ts";
import { PersonalDraft } from "./personal-draft.ts";
import { RoomDraft } from "./room-draft.ts";
import type { Numbers } from "./source.ts";

/** What a transaction starts from. */
export interface Before extends Drafts {
  /** The devices whose streams the parts move on. */
  readonly devices: ReadonlyMap<DeviceNid, DeviceRow>;
  /** What the parts make doubtful by what they leave out. */
  readonly leftOut: readonly Contest[];
}

/**
 * Locks what the parts may touch and reads it, in one round trip. Locks are taken in one order everywhere, so that writers
 * never wait for each other in a circle: rooms, devices, users. Throws {@link FencedError} when a part is no longer wanted.
 */
export async function readBefore(tx: Tx, parts: readonly ResponsePart[], numbers: Numbers): Promise<Before> {
  const { rooms, events, users, state, accountData, receipts, typing } = namedIn(parts);
  const redactions = namedRedactions(parts);
  const ending = parts.filter(({ end }) => end !== undefined);
  const owners = parts
    .filter(({ end, asked }) => [...(end?.rest.accountData ?? []), ...(asked ?? [])].length > 0)
    .map(({ source }) => source.userNid);
  // Each read is a statement of its own after the locks, so that it sees what the last holder of a lock stored.
  const [rows, devices, , ends, knownEvents, stateValues, memberships, redacted, texts, leftOut, ...personal] =
    await Promise.all([
      lockRooms(tx, [...rooms]),
      lockDevices(
        tx,
        ending.map(({ claim }) => claim.deviceNid),
      ),
      lockUsers(tx, owners),
      selectRoomEnds(tx, [...rooms]),
      selectKnownEvents(tx, [...rooms], [...events]),
      selectStateValues(tx, [...state.values()]),
      selectMemberships(tx, [...users], [...rooms]),
      selectRedacted(tx, redactions.events),
      selectTexts(tx, [...rooms], redactions.rewritable),
      Promise.all(ending.map((part) => contestsOfLeftOut(tx, part))),
      selectKnownAccountData(tx, accountData),
      selectKnownReceipts(tx, receipts),
      selectKnownTyping(tx, [...typing]),
      ...parts.filter(({ end }) => end === undefined).map(({ claim }) => checkClaim(tx, claim)),
    ]);
  for (const part of ending) assertWanted(part, devices.get(part.claim.deviceNid));
  const draftOf = (roomId: RoomId): readonly [RoomId, RoomDraft][] => {
    const row = rows.get(roomId);
    if (row === undefined) return [];
    const before = {
      row,
      end: ends.get(row.room) ?? NO_END,
      known: knownEvents.get(row.room) ?? new Map(),
      state: stateValues.get(row.room) ?? new Map(),
      memberships: memberships.get(row.room) ?? new Map(),
      redacted: redacted.get(row.room) ?? new Map(),
      texts: texts.get(row.room) ?? new Map(),
    };
    return [[roomId, new RoomDraft(before, numbers)]];
  };
  const [knownAccountData, knownReceipts, knownTyping] = personal;
  const known = { accountData: knownAccountData, receipts: knownReceipts, typing: knownTyping };
  return {
    rooms: new Map([...rooms].flatMap(draftOf)),
    personal: new PersonalDraft(known, numbers),
    devices,
    leftOut: leftOut.flat(),
  };
}

const NO_END: RoomEnd = {
  attestedFor: undefined,
  continues: false,
  chunk: undefined,
  sender: undefined,
  storedAt: undefined,
  activity: 0,
  bump: 0,
  isFollowed: false,
};

/** Of a stream that another poller owns, or that moved on already, nothing more is stored. */
function assertWanted({ claim, end }: ResponsePart, device: DeviceRow | undefined): void {
  if (device?.epoch === claim.epoch && device.since === end?.since.from) return;
  throw new FencedError(`device ${claim.deviceNid} is polled by another process, or went on`);
}

/** What some parts name. */
interface Named {
  readonly rooms: Set<RoomId>;
  readonly events: Set<EventId>;
  readonly users: Set<string>;
  readonly state: Map<string, RoomStateKey>;
  readonly accountData: AccountDataKey[];
  readonly receipts: (ReceiptKey & { readonly roomId: RoomId })[];
  readonly typing: Set<RoomId>;
}

function namedIn(parts: readonly ResponsePart[]): Named {
  const named: Named = {
    rooms: new Set(),
    events: new Set(),
    users: new Set(),
    state: new Map(),
    accountData: [],
    receipts: [],
    typing: new Set(),
  };
  for (const part of parts) {
    const { userNid } = part.source;
    for (const { type } of part.end?.rest.accountData ?? []) {
      named.accountData.push({ userNid, roomId: undefined, type });
    }
    for (const { roomId, event } of part.asked ?? []) {
      named.accountData.push({ userNid, roomId, type: event.type });
      if (roomId !== undefined) named.rooms.add(roomId);
    }
    for (const section of part.sections) addSection(named, section, part.source);
  }
  return named;
}

function addSection(named: Named, section: ResponsePart["sections"][number], source: ResponsePart["source"]): void {
  const { roomId, state, timeline, accountData, ephemeral } = section;
  const addState = (type: string, stateKey: string) => {
    named.state.set(`${roomId}\0${type}\0${stateKey}`, { roomId, type, stateKey });
    if (type === "m.room.member") named.users.add(stateKey);
  };
  named.rooms.add(roomId);
  addState("m.room.member", source.userId);
  const last = source.lastSeen.get(roomId);
  if (last !== undefined) named.events.add(last);
  for (const { eventId, type, stateKey } of [...state, ...timeline]) {
    named.events.add(eventId);
    if (stateKey !== undefined) addState(type, stateKey);
  }
  for (const { type, stateKey } of section.absent ?? []) addState(type, stateKey);
  for (const { sender } of timeline) named.state.set(`${roomId}\0m.room.member\0${sender}`, memberKey(roomId, sender));
  for (const { type } of accountData) named.accountData.push({ userNid: source.userNid, roomId, type });
  for (const receipt of ephemeral.receipts) named.receipts.push({ roomId, ...receipt });
  if (ephemeral.typing !== undefined) named.typing.add(roomId);
}

const memberKey = (roomId: RoomId, stateKey: string): RoomStateKey => ({ roomId, type: "m.room.member", stateKey });
