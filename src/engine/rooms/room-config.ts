import type { UserId } from "../../model/ids.ts";
import type { StateSelector } from "../../model/room-reads.ts";
import type { StateEvent } from "../../model/stored-event.ts";
import type { Told } from "../connection/state.ts";
import { MEMBER } from "../event-types.ts";
import type { RequiredState, RoomConfig } from "../request.ts";
import { covers, difference, matches, selects, selectsAllMembers, union } from "../required-state.ts";
import { isKnownMembers, isNobody, readableOne, wantsLazyMembers } from "./all-members.ts";

/**
 * Selectors that are remembered of what a room was sent with. More: a client that names other members in every request
 * makes its connection grow without end. Fewer: state that was sent is sent again.
 */
const MAX_TOLD_SELECTORS = 300;

/** How a room is sent that several lists and subscriptions cover (MSC4186 "Combining room configs"). */
export const combineRoomConfigs = (configs: readonly RoomConfig[]): RoomConfig => ({
  timelineLimit: Math.max(...configs.map((config) => config.timelineLimit)),
  requiredState: union(configs.map((config) => config.requiredState)),
});

/** Clients ask with the same configs again and again. */
const known = new WeakMap<RoomConfig, RoomConfig>();

/** How a room is sent that one list or subscription covers. */
export function singleRoomConfig(config: RoomConfig): RoomConfig {
  const single = known.get(config) ?? combineRoomConfigs([config]);
  known.set(config, single);
  return single;
}

/** What a request asks of a room beyond what it was sent with. */
export interface ConfigGrowth {
  /** More timeline events, or the members that the events already sent need. */
  readonly isTimelineExpanded: boolean;
  readonly selectors: readonly StateSelector[];
}

/** undefined: nothing. */
function configGrowth(told: RoomConfig, wanted: RoomConfig): ConfigGrowth | undefined {
  const selectors = difference(told.requiredState, wanted.requiredState);
  const isTimelineExpanded =
    wanted.timelineLimit > told.timelineLimit ||
    (wanted.timelineLimit > 0 && needsLazyMembers(told.requiredState, wanted.requiredState));
  return isTimelineExpanded || selectors.length > 0 ? { isTimelineExpanded, selectors } : undefined;
}

/** Less the members that were sent for a timeline and are asked for by name now; undefined: nothing is left. */
export function withoutSentMembers(growth: ConfigGrowth, sent: ReadonlySet<UserId>): ConfigGrowth | undefined {
  const isSent = ({ type, stateKey }: StateSelector) => type === MEMBER && sent.has(stateKey as UserId);
  const selectors = growth.selectors.filter((selector) => !isSent(readableOne(selector)));
  return growth.isTimelineExpanded || selectors.length > 0 ? { ...growth, selectors } : undefined;
}

/** Whether a timeline that the client has lacks members that it wants with it. */
export const needsLazyMembers = (told: RequiredState, wanted: RequiredState): boolean =>
  wantsLazyMembers(wanted) && !wantsLazyMembers(told) && !selectsAllMembers(told);

/**
 * All state that the client has as of now: what it was told before, without the keys that changed and were not sent,
 * and what this answer was asked for.
 *
 * @param hasNewEvents whether timeline events were sent: their senders' members only with `wanted.lazyMembers`.
 */
export function toldRequiredState(
  told: RequiredState,
  wanted: RequiredState,
  missed: readonly StateEvent[],
  hasNewEvents: boolean,
): RequiredState {
  const missesMembers = missed.some(({ type }) => type === MEMBER);
  const lazyMembers = wanted.lazyMembers || (told.lazyMembers && !hasNewEvents && !missesMembers);
  // Without lazy members a selector without a type would stand for members too, and these were never told.
  const isVague = (selector: StateSelector) => told.lazyMembers && !lazyMembers && selector.type === undefined;
  const unknown = missed.filter((event) => matches(told, event.type, event.stateKey));
  const isMissed = (selector: StateSelector) => {
    const read = readableOne(selector);
    const events = read === selector ? unknown : missed;
    return events.some((event) => selects(read, event.type, event.stateKey));
  };
  // Beside the members who were known others may be by now.
  const isOutdated = (selector: StateSelector) =>
    wantsLazyMembers(wanted) && (isKnownMembers(selector) || isNobody(selector));
  const selectors = told.selectors.filter(
    (selector) => !isVague(selector) && !isMissed(selector) && !isOutdated(selector),
  );
  const isUnchanged = selectors.length === told.selectors.length && lazyMembers === told.lazyMembers;
  if (isUnchanged && (told === wanted || difference(told, wanted).length === 0)) return told;
  const joined = union([{ selectors, lazyMembers }, wanted]);
  if (joined.lazyMembers === told.lazyMembers && covers(told, joined) && covers(joined, told)) return told;
  return joined.selectors.length > MAX_TOLD_SELECTORS ? wanted : joined;
}

/** Compares what many rooms were told with what is asked of them; they share few configs. */
export class ConfigComparison {
  readonly #growths = new Map<RoomConfig, Map<RoomConfig, ConfigGrowth | undefined>>();
  /** The last pair that {@link isAllTold} was true for. */
  #told: Told | undefined;
  #wanted: RoomConfig | undefined;

  /** Whether a room that did not change leaves nothing to say. */
  isAllTold(told: Told, wanted: RoomConfig): boolean {
    if (told === this.#told && wanted === this.#wanted) return true;
    if (told.upTo !== "live" || this.growth(told, wanted) !== undefined) return false;
    this.#told = told;
    this.#wanted = wanted;
    return true;
  }

  /** Only a room that the reader is in can be asked more of. */
  growth({ as, config }: Told, wanted: RoomConfig): ConfigGrowth | undefined {
    if (as !== "joined") return undefined;
    const growths = this.#growths.get(wanted) ?? new Map<RoomConfig, ConfigGrowth | undefined>();
    if (!growths.has(config)) growths.set(config, configGrowth(config, wanted));
    this.#growths.set(wanted, growths);
    return growths.get(config);
  }
}
