import { isUserId, type UserId } from "../../model/ids.ts";
import type { StateSelector } from "../../model/room-reads.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { MEMBER } from "../event-types.ts";
import type { RequiredState, RoomConfig } from "../request.ts";
import { selectsAllMembers } from "../required-state.ts";

/**
 * Stands in a config for "the members that were known": no member event has an empty state key. A room whose members are not all
 * known is sent with this instead of all of them, so that all are owed still.
 */
const KNOWN_MEMBERS: StateSelector = { type: MEMBER, stateKey: "" };

/** Before a user id it stands for "this member, if they were known", in the same way: no user id begins with it. */
const IF_KNOWN = "?";

/** In a config with lazy members: nobody wants these, they only keep selectors without a type from standing for members. */
const NOBODY: StateSelector = { type: MEMBER, stateKey: IF_KNOWN };

/** The same object for the same config, so that configs can be compared by identity; many rooms share few. */
const reduced = new WeakMap<RoomConfig, { readonly reader: UserId; readonly config: RoomConfig }>();

/** What a config comes to while not all members are known; the config itself where it selects none that may be unknown. */
export function withKnownMembers(config: RoomConfig, reader: UserId): RoomConfig {
  const before = reduced.get(config);
  if (before?.reader === reader) return before.config;
  const known = selectsOthers(config.requiredState, reader) ? reduce(config, reader) : config;
  reduced.set(config, { reader, config: known });
  return known;
}

const selectsOthers = (required: RequiredState, reader: UserId): boolean =>
  selectsAllMembers(required) ||
  required.selectors.some(
    ({ type, stateKey }) =>
      (type === MEMBER || (type === undefined && !required.lazyMembers)) && isOther(stateKey, reader),
  );

/** The reader's own member event is known of every room that they are in. */
const isOther = (stateKey: string | undefined, reader: UserId): boolean => isUserId(stateKey) && stateKey !== reader;

function reduce({ timelineLimit, requiredState: { selectors, lazyMembers } }: RoomConfig, reader: UserId): RoomConfig {
  const mayBeUnknown = ({ stateKey }: StateSelector) => stateKey === undefined || isOther(stateKey, reader);
  const ofMembers = selectors.filter((selector) => selector.type === MEMBER && mayBeUnknown(selector));
  const others = selectors.filter((selector) => selector.type !== MEMBER || !mayBeUnknown(selector));
  const ofAnyType = lazyMembers ? [] : others.filter(({ type }) => type === undefined);
  const named = [...ofMembers, ...ofAnyType].map((selector) => {
    return mayBeUnknown(selector) ? ifKnown(selector.stateKey) : { type: MEMBER, stateKey: selector.stateKey };
  });
  // With lazy members a selector without a type stands for no members.
  const standsForNone = ofAnyType.length > 0 ? [NOBODY] : [];
  const requiredState = {
    selectors: [...others, ...named, ...standsForNone],
    lazyMembers: lazyMembers || ofAnyType.length > 0,
  };
  return { timelineLimit, requiredState };
}

const ifKnown = (stateKey: string | undefined): StateSelector =>
  stateKey === undefined ? KNOWN_MEMBERS : { type: MEMBER, stateKey: `${IF_KNOWN}${stateKey}` };

/** Whether known members are wanted, and all of them owed. */
export const wantsKnownMembers = (selectors: readonly StateSelector[]): boolean => selectors.some(isKnownMembers);

/** Whether the members that a timeline needs are wanted with it. */
export const wantsLazyMembers = ({ lazyMembers, selectors }: RequiredState): boolean =>
  lazyMembers && !selectors.some((selector) => isKnownMembers(selector) || isNobody(selector));

/** Whether members are wanted as far as they are known. */
export const wantsIfKnown = (selectors: readonly StateSelector[]): boolean =>
  selectors.some((selector) => isKnownMembers(selector) || isIfKnown(selector));

/** What is to be read for selectors. */
export const readable = (selectors: readonly StateSelector[]): readonly StateSelector[] => selectors.map(readableOne);

export function readableOne(selector: StateSelector): StateSelector {
  if (isKnownMembers(selector)) return { type: MEMBER, stateKey: undefined };
  return isIfKnown(selector) ? { type: MEMBER, stateKey: selector.stateKey?.slice(IF_KNOWN.length) } : selector;
}

export const isKnownMembers = ({ type, stateKey }: StateSelector): boolean => type === MEMBER && stateKey === "";

const isIfKnown = ({ type, stateKey }: StateSelector): boolean =>
  type === MEMBER && stateKey?.startsWith(IF_KNOWN) === true;

export const isNobody = ({ type, stateKey }: StateSelector): boolean => type === MEMBER && stateKey === IF_KNOWN;

interface HeldSince {
  /** The room was told up to it. */
  readonly toldUpTo: StreamPosition;
  readonly membersKnownAt: StreamPosition | undefined;
}

/**
 * What a client has of a room that was told up to a position: not all members, where they are not all known, or where changes
 * before they were known may have been missed.
 */
export const heldConfig = (config: RoomConfig, reader: UserId, { toldUpTo, membersKnownAt }: HeldSince): RoomConfig =>
  membersKnownAt === undefined || membersKnownAt > toldUpTo ? withKnownMembers(config, reader) : config;
