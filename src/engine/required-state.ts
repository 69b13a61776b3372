import type { StateSelector } from "../model/room-reads.ts";
import { MEMBER } from "./event-types.ts";
import type { RequiredState } from "./request.ts";

/** Whether one selector, taken alone, selects the state event. */
export const selects = (selector: StateSelector, type: string, stateKey: string): boolean =>
  (selector.type === undefined || selector.type === type) &&
  (selector.stateKey === undefined || selector.stateKey === stateKey);

/** Whether any selector selects the state event. Lazy members are not selected: they depend on the timeline. */
export const matches = (required: RequiredState, type: string, stateKey: string): boolean =>
  indexOf(required).has(type, stateKey);

export const selectsAllMembers = (required: RequiredState): boolean => indexOf(required).has(MEMBER, undefined);

/**
 * What selects everything that one of `parts` selects (MSC4186 "Combining room configs"). The members that a selector
 * without a type stands for are named in the result, so that a lazy part takes nothing from a part that is not lazy.
 */
export function union(parts: readonly RequiredState[]): RequiredState {
  const selectors = parts.flatMap(withMembersNamed);
  const index = new SelectorIndex(selectors, true);
  const isLazy = parts.some((part) => part.lazyMembers) && !index.has(MEMBER, undefined);
  return { selectors: index.withoutCovered(selectors), lazyMembers: isLazy };
}

/** What of `wanted` is not selected by `told`; lazy members apart. */
export const difference = (told: RequiredState, wanted: RequiredState): readonly StateSelector[] => {
  const index = indexOf(told);
  const missing = withMembersNamed(wanted).filter((selector) => !index.has(selector.type, selector.stateKey));
  return missing.length === 0 ? missing : new SelectorIndex(missing, true).withoutCovered(missing);
};

/** Whether all state that `wanted` selects is selected by `told`; lazy members apart. */
export const covers = (told: RequiredState, wanted: RequiredState): boolean =>
  told === wanted || difference(told, wanted).length === 0;

/** Selectors in which one without a type never stands for members: those are named by a selector of their own. */
function withMembersNamed(required: RequiredState): readonly StateSelector[] {
  if (required.lazyMembers) return required.selectors;
  const ofMembers = required.selectors.filter((selector) => selector.type === undefined);
  if (ofMembers.length === 0) return required.selectors;
  return [...required.selectors, ...ofMembers.map(({ stateKey }) => ({ type: MEMBER, stateKey }))];
}

/** Answers in constant time, because a client may name thousands of state keys. */
class SelectorIndex {
  /** State keys selected in every type; undefined stands for all of them. */
  readonly #inAnyType = new Set<string | undefined>();
  readonly #byType = new Map<string, Set<string | undefined>>();
  readonly #lazyMembers: boolean;

  constructor(selectors: readonly StateSelector[], lazyMembers: boolean) {
    this.#lazyMembers = lazyMembers;
    for (const { type, stateKey } of selectors) this.#keysOf(type).add(stateKey);
  }

  /** Whether the selector (type, state key) selects nothing that is not selected here. */
  has(type: string | undefined, stateKey: string | undefined): boolean {
    return this.#isInAnyType(type, stateKey) || (type !== undefined && holds(this.#byType.get(type), stateKey));
  }

  /** Those that no broader one makes superfluous, each once. */
  withoutCovered(selectors: readonly StateSelector[]): readonly StateSelector[] {
    const seen = new SelectorIndex([], this.#lazyMembers);
    return selectors.filter((selector) => {
      if (this.#isCovered(selector) || seen.has(selector.type, selector.stateKey)) return false;
      seen.#keysOf(selector.type).add(selector.stateKey);
      return true;
    });
  }

  #isCovered({ type, stateKey }: StateSelector): boolean {
    if (type !== undefined && this.#isInAnyType(type, stateKey)) return true;
    const keys = type === undefined ? this.#inAnyType : this.#byType.get(type);
    return stateKey !== undefined && keys?.has(undefined) === true;
  }

  #isInAnyType(type: string | undefined, stateKey: string | undefined): boolean {
    return (type !== MEMBER || !this.#lazyMembers) && holds(this.#inAnyType, stateKey);
  }

  #keysOf(type: string | undefined): Set<string | undefined> {
    if (type === undefined) return this.#inAnyType;
    const known = this.#byType.get(type);
    if (known !== undefined) return known;
    const keys = new Set<string | undefined>();
    this.#byType.set(type, keys);
    return keys;
  }
}

const holds = (keys: ReadonlySet<string | undefined> | undefined, stateKey: string | undefined): boolean =>
  keys !== undefined && (keys.has(undefined) || keys.has(stateKey));

/** One config serves many rooms of an answer; the index lives as long as the config does. */
const indexes = new WeakMap<RequiredState, SelectorIndex>();

function indexOf(required: RequiredState): SelectorIndex {
  const known = indexes.get(required);
  if (known !== undefined) return known;
  const index = new SelectorIndex(required.selectors, required.lazyMembers);
  indexes.set(required, index);
  return index;
}
