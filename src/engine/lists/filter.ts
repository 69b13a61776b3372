import { isDeparted, isStripped, Membership } from "../../model/membership.ts";
import type { ListFilters } from "../request.ts";
import { strippedFacts } from "../rooms/stripped-facts.ts";
import type { ReaderView } from "../view.ts";

export const filtersNothing = (filters: ListFilters): boolean =>
  filters.isInvite === undefined &&
  filters.isEncrypted === undefined &&
  filters.roomTypes === undefined &&
  filters.notRoomTypes === undefined;

/**
 * Whether a joined room of which nothing is known yet is counted as one that passes: as an ordinary room, which nearly all are.
 * Whether it is encrypted cannot be guessed.
 */
export const countsUnknownRooms = ({ isInvite, isEncrypted, roomTypes }: ListFilters): boolean =>
  isInvite !== true && isEncrypted === undefined && (roomTypes === undefined || roomTypes.includes(null));

/** Whether a room of the reader passes all filters (MSC4186 "SlidingRoomFilter"). */
export function passesFilters(filters: ListFilters, view: ReaderView, index: number): boolean {
  if (filters.isInvite !== undefined && filters.isInvite !== isInvite(view, index)) return false;
  if (filters.isEncrypted !== undefined && filters.isEncrypted !== isEncrypted(view, index)) return false;
  return passesRoomTypes(filters, view, index);
}

const isInvite = (view: ReaderView, index: number): boolean => view.rooms.membership(index) === Membership.invite;

function passesRoomTypes(filters: ListFilters, view: ReaderView, index: number): boolean {
  const { roomTypes, notRoomTypes } = filters;
  if (roomTypes === undefined && notRoomTypes === undefined) return true;
  const type = roomType(view, index);
  if (type === undefined || notRoomTypes?.includes(type)) return false;
  return roomTypes === undefined || roomTypes.includes(type);
}

/** undefined: not known, so that the room passes neither `true` nor `false`. */
function isEncrypted(view: ReaderView, index: number): boolean | undefined {
  if (isStripped(view.rooms.membership(index))) return strippedFacts(view.rooms.strippedState(index))?.isEncrypted;
  return isKnown(view, index) ? view.facts.isEncrypted(view.rooms.room(index)) : undefined;
}

/** null: the room has no type. undefined: not known. */
function roomType(view: ReaderView, index: number): string | null | undefined {
  if (isStripped(view.rooms.membership(index))) return strippedFacts(view.rooms.strippedState(index))?.roomType;
  return isKnown(view, index) ? (view.facts.roomType(view.rooms.room(index)) ?? null) : undefined;
}

/** A room that was left without ever having been joined may be known by nothing but the departure. */
const isKnown = (view: ReaderView, index: number): boolean =>
  !isDeparted(view.rooms.membership(index)) || view.facts.isComplete(view.rooms.room(index));
