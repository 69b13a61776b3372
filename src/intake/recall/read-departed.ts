import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { RoomReads } from "../../homeserver/room-reads.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import { isJsonObject, type JsonObject, parseJson, textAt } from "../../lib/json-value.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { isDeparted, Membership, membershipOf } from "../../model/membership.ts";
import { type ParsedSection, parseSection } from "../response/parsed-section.ts";
import { emptySection } from "../response/room-section.ts";

const MEMBER = "m.room.member";

export interface DepartedReads {
  readonly rooms: Pick<RoomReads, "newestMessages" | "currentState">;
  readonly values: Pick<ValueReads, "stateEvent">;
  /** Timeline events to read. */
  readonly timelineLimit: number;
}

/** A room as its user left it. */
export interface DepartedRoom {
  /** Its timeline ends with the departure; its state is as of then, of members what the timeline needs. */
  readonly section: ParsedSection;
  /** At or after the departure. */
  readonly token: string | undefined;
}

/**
 * Reads a room as the homeserver shows it to a user who was in it and left. undefined: it says nothing of such a departure, does
 * not show the room, or shows what came after.
 *
 * The own member event comes first: to whom never was in the room, or has forgotten it, nothing else is asked. And it comes last: who is
 * back by then was told how the room is.
 */
export async function readDeparted(
  { rooms, values, timelineLimit }: DepartedReads,
  call: ReadCall,
  { roomId, userId }: { readonly roomId: RoomId; readonly userId: UserId },
): Promise<DepartedRoom | undefined> {
  const ownDeparture = async () => {
    const own = await values.stateEvent(call, roomId, MEMBER, userId);
    return own.kind === "found" ? departureIn(parseJson(own.raw), userId) : undefined;
  };
  const departureId = await ownDeparture();
  if (departureId === undefined) return undefined;
  const { events, start, end } = await rooms.newestMessages(call, roomId, timelineLimit);
  const last = events[0] && parseJson(events[0]);
  if (departureIn(last, userId) !== departureId || !wasIn(last)) return undefined;
  const needed = membersOf(events.map(parseJson).filter(isJsonObject), userId);
  const state: Buffer[] = [];
  await rooms.currentState(call, roomId, (raw) => {
    const event = parseJson(raw);
    if (!isJsonObject(event) || event.type !== MEMBER || needed.has(textAt(event, "state_key") ?? "")) state.push(raw);
  });
  if ((await ownDeparture()) !== departureId) return undefined;
  const raw = { ...emptySection("leave", roomId), timeline: events.toReversed(), stateAfter: state, prevBatch: end };
  const section = parseSection({ ...raw, limited: end !== undefined }, () => undefined);
  const isOfRoom = [...events, ...state].every((each) => isOf(roomId, each));
  return section.fault === undefined && isOfRoom ? { section, token: start } : undefined;
}

/** The id of an event by which the user is out of a room. */
function departureIn(event: unknown, userId: UserId): string | undefined {
  if (!isJsonObject(event) || event.type !== MEMBER || event.state_key !== userId) return undefined;
  const membership = membershipOf(event.content);
  return membership !== undefined && isDeparted(membership) ? textAt(event, "event_id") : undefined;
}

/** Invites and knocks end in departures, too: of a room that the user never was in nothing is theirs to see. */
function wasIn(event: unknown): boolean {
  const unsigned = isJsonObject(event) ? event.unsigned : undefined;
  return isJsonObject(unsigned) && membershipOf(unsigned.prev_content) === Membership.join;
}

function membersOf(timeline: readonly JsonObject[], userId: UserId): ReadonlySet<string> {
  const targets = timeline.filter(({ type }) => type === MEMBER).map((event) => textAt(event, "state_key") ?? "");
  return new Set([userId, ...targets, ...timeline.map((event) => textAt(event, "sender") ?? "")]);
}

function isOf(roomId: RoomId, raw: Buffer): boolean {
  const event = parseJson(raw);
  return !isJsonObject(event) || event.room_id === undefined || event.room_id === roomId;
}
