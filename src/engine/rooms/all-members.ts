import type { StateSelector } from "../../model/room-reads.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { MEMBER } from "../event-types.ts";
import type { RoomConfig } from "../request.ts";
import { selectsAllMembers } from "../required-state.ts";

/**
 * Stands in a config for "the members that were known": no member event has an empty state key. A room whose members are not all
 * known is sent with this instead of all of them, so that all are owed still.
 */
const KNOWN_MEMBERS: StateSelector = { type: MEMBER, stateKey: "" };

/** The same object for the same config, so that configs can be compared by identity; many rooms share few. */
const reduced = new WeakMap<RoomConfig, RoomConfig>();

/** What a config comes to while not all members are known; the config itself where it does not select them all. */
export function withKnownMembers(config: RoomConfig): RoomConfig {
  const before = reduced.get(config);
  if (before !== undefined) return before;
  const known = selectsAllMembers(config.requiredState) ? reduce(config) : config;
  reduced.set(config, known);
  return known;
}

function reduce({ timelineLimit, requiredState: { selectors, lazyMembers } }: RoomConfig): RoomConfig {
  const others = selectors.filter(({ type, stateKey }) => type !== MEMBER || stateKey !== undefined);
  const ofAnyType = lazyMembers ? [] : others.filter(({ type }) => type === undefined);
  const named = ofAnyType
    .filter(({ stateKey }) => stateKey !== undefined)
    .map(({ stateKey }) => ({ type: MEMBER, stateKey }));
  // With lazy members a selector without a type stands for no members.
  const requiredState = {
    selectors: [...others, ...named, KNOWN_MEMBERS],
    lazyMembers: lazyMembers || ofAnyType.length > 0,
  };
  return { timelineLimit, requiredState };
}

/** Whether members that are known are wanted, and all of them owed. */
export const wantsKnownMembers = (selectors: readonly StateSelector[]): boolean => selectors.some(isKnownMembers);

/** What is to be read for selectors. */
export const readable = (selectors: readonly StateSelector[]): readonly StateSelector[] =>
  selectors.map((selector) => (isKnownMembers(selector) ? { type: MEMBER, stateKey: undefined } : selector));

const isKnownMembers = ({ type, stateKey }: StateSelector): boolean => type === MEMBER && stateKey === "";

/**
 * What a client has of a room that was told up to a position: not all members, where they are not all known, or where changes
 * before they were known may have been missed.
 */
export const heldConfig = (
  config: RoomConfig,
  toldUpTo: StreamPosition,
  membersKnownAt: StreamPosition | undefined,
): RoomConfig => (membersKnownAt === undefined || membersKnownAt > toldUpTo ? withKnownMembers(config) : config);
