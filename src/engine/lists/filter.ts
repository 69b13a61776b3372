import type { RoomId, RoomNid } from "../../model/ids.ts";
import { isDeparted, isStripped, Membership } from "../../model/membership.ts";
import type { ListFilters, SyncRequest } from "../request.ts";
import { strippedFacts } from "../rooms/stripped-facts.ts";
import type { ReaderView } from "../view.ts";

export const filtersNothing = (filters: ListFilters): boolean =>
  Object.values(filters).every((filter) => filter === undefined);

/** Spaces that lists of a request are filtered by. */
export const spacesIn = ({ lists }: Pick<SyncRequest, "lists">): ReadonlySet<RoomId> =>
  new Set([...lists.values()].flatMap(({ filters }) => filters.spaces ?? []));

/**
 * Whether a joined room of which nothing is known yet is counted as one that passes: as an ordinary room, which nearly all are.
 * Whether it is encrypted cannot be guessed.
 */
export const countsUnknownRooms = ({ isDm, isInvite, isEncrypted, roomTypes, tags, spaces }: ListFilters): boolean =>
  isDm !== true &&
  isInvite !== true &&
  isEncrypted === undefined &&
  (roomTypes === undefined || roomTypes.includes(null)) &&
  tags === undefined &&
  spaces === undefined;

/** The filters of one list over the rooms of one reader (MSC4186 "SlidingRoomFilter"). */
export class RoomFilter {
  readonly #filters: ListFilters;
  readonly #view: ReaderView;
  readonly #direct: ReadonlySet<RoomNid>;
  readonly #inSpaces: ReadonlySet<RoomNid>;
  // Sets: what a client names here is as long as it likes, and is looked up for each of its rooms.
  readonly #tags: ReadonlySet<string> | undefined;
  readonly #notTags: ReadonlySet<string> | undefined;
  readonly #roomTypes: ReadonlySet<string | null> | undefined;
  readonly #notRoomTypes: ReadonlySet<string | null> | undefined;

  constructor(filters: ListFilters, view: ReaderView) {
    this.#filters = filters;
    this.#view = view;
    this.#direct = filters.isDm === undefined ? NO_ROOMS : roomsOf(view, view.own.direct);
    this.#inSpaces = filters.spaces === undefined ? NO_ROOMS : roomsInSpaces(view, filters.spaces);
    this.#tags = setOf(filters.tags);
    this.#notTags = setOf(filters.notTags);
    this.#roomTypes = setOf(filters.roomTypes);
    this.#notRoomTypes = setOf(filters.notRoomTypes);
  }

  /** Whether a room of the reader passes all filters. */
  passes(index: number): boolean {
    const { isDm, isInvite, isEncrypted, spaces } = this.#filters;
    const room = this.#view.rooms.room(index);
    if (isDm !== undefined && isDm !== this.#direct.has(room)) return false;
    if (isInvite !== undefined && isInvite !== (this.#view.rooms.membership(index) === Membership.invite)) return false;
    if (isEncrypted !== undefined && isEncrypted !== isEncryptedRoom(this.#view, index)) return false;
    if (spaces !== undefined && !this.#inSpaces.has(room)) return false;
    return this.#passesTags(room) && this.#passesRoomTypes(index);
  }

  #passesTags(room: RoomNid): boolean {
    if (this.#tags === undefined && this.#notTags === undefined) return true;
    const own = this.#view.tags.get(room) ?? NO_TAGS;
    return meets(own, this.#tags) !== false && meets(own, this.#notTags) !== true;
  }

  #passesRoomTypes(index: number): boolean {
    if (this.#roomTypes === undefined && this.#notRoomTypes === undefined) return true;
    const type = roomType(this.#view, index);
    if (type === undefined || this.#notRoomTypes?.has(type)) return false;
    return this.#roomTypes?.has(type) !== false;
  }
}

const setOf = <Item>(items: readonly Item[] | undefined): ReadonlySet<Item> | undefined =>
  items === undefined ? undefined : new Set(items);

/** undefined: there is nothing to meet. */
function meets(own: ReadonlySet<string>, wanted: ReadonlySet<string> | undefined): boolean | undefined {
  if (wanted === undefined) return undefined;
  for (const tag of own) if (wanted.has(tag)) return true;
  return false;
}

const NO_TAGS: ReadonlySet<string> = new Set();
const NO_ROOMS: ReadonlySet<RoomNid> = new Set();

/** Those of the rooms that the reader has to do with. */
const roomsOf = ({ rooms }: ReaderView, roomIds: Iterable<RoomId>): ReadonlySet<RoomNid> =>
  new Set([...roomIds].flatMap((roomId) => rooms.findRoom(roomId) ?? []));

/** Children of spaces that the reader is in, one level deep: what a space holds is told to nobody else. */
function roomsInSpaces(view: ReaderView, spaces: readonly RoomId[]): ReadonlySet<RoomNid> {
  const { rooms } = view;
  const joined = [...roomsOf(view, spaces)].filter(
    (space) => rooms.membership(rooms.indexOf(space)) === Membership.join,
  );
  return new Set(joined.flatMap((space) => [...roomsOf(view, view.childrenOf(space))]));
}

/** undefined: not known, so that the room passes neither `true` nor `false`. */
function isEncryptedRoom(view: ReaderView, index: number): boolean | undefined {
  if (isKnownAsStripped(view, index)) return strippedFacts(view.rooms.strippedState(index))?.isEncrypted;
  return view.facts.isEncrypted(view.rooms.room(index)) && !isEncryptedSinceDeparture(view, index);
}

/** What happens to a room after the reader's departure is not for them, nor is that it does. */
function isEncryptedSinceDeparture({ rooms, facts }: ReaderView, index: number): boolean {
  if (!isDeparted(rooms.membership(index))) return false;
  const orderKey = facts.encryptionOrderKey(rooms.room(index));
  return orderKey !== undefined && orderKey > (rooms.sinceOrderKey(index) ?? Number.NEGATIVE_INFINITY);
}

/** null: the room has no type. undefined: not known. */
function roomType(view: ReaderView, index: number): string | null | undefined {
  if (isKnownAsStripped(view, index)) return strippedFacts(view.rooms.strippedState(index))?.roomType;
  return view.facts.roomType(view.rooms.room(index)) ?? null;
}

/** An invite, a knock, or one that ended without a join: the departure may be all else that is known of the room. */
function isKnownAsStripped({ rooms, facts }: ReaderView, index: number): boolean {
  const membership = rooms.membership(index);
  return isStripped(membership) || (isDeparted(membership) && !facts.isComplete(rooms.room(index)));
}
