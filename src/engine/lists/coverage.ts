import type { RoomConfig } from "../request.ts";
import { combineRoomConfigs, singleRoomConfig } from "../rooms/room-config.ts";

/** Number of the combination that covers a room: 0, none. */
type Combination = number;

/**
 * Which config each room of the reader is sent with. Rooms that the same lists and subscriptions cover share one
 * config object, so that covering a room costs one number.
 */
export class Coverage {
  #combinationOf = new Int32Array(0);
  /** Indexes of rooms that are covered, in any order. */
  #covered = new Int32Array(0);
  #coveredCount = 0;
  /** By combination; the first stands for "not covered". */
  #configs: (RoomConfig | undefined)[] = [undefined];
  /** By combination: the lists that cover it, as far as they were named. */
  #lists: ReadonlySet<string>[] = [NO_LISTS];
  #extended = new Map<RoomConfig | string, Combination[]>();

  /** Covers nothing, of `size` rooms. */
  reset(size: number): void {
    for (const index of this.covered()) this.#combinationOf[index] = 0;
    if (this.#combinationOf.length < size) {
      this.#combinationOf = new Int32Array(size);
      this.#covered = new Int32Array(size);
    }
    this.#coveredCount = 0;
    this.#configs = [undefined];
    this.#lists = [NO_LISTS];
    this.#extended = new Map();
  }

  /** Indexes of the covered rooms, each once. */
  covered(): Int32Array {
    return this.#covered.subarray(0, this.#coveredCount);
  }

  /**
   * @param indexes in the reader's rooms, each once.
   * @param list the list that covers them, where somebody will want to know it.
   */
  coverAll(indexes: ArrayLike<number>, config: RoomConfig, list?: string): void {
    let before = -1;
    let after = -1;
    for (let at = 0; at < indexes.length; at++) {
      const index = indexes[at] ?? 0;
      const combination = this.#combinationOf[index] ?? 0;
      if (combination === 0) this.#covered[this.#coveredCount++] = index;
      if (combination !== before) {
        before = combination;
        after = this.#extend(combination, config, list);
      }
      this.#combinationOf[index] = after;
    }
  }

  /** undefined: no list or subscription covers the room. */
  configOf(index: number): RoomConfig | undefined {
    return this.#configs[this.#combinationOf[index] ?? 0];
  }

  /** The lists that cover a room, as far as they were named. */
  listsOf(index: number): ReadonlySet<string> {
    return this.#lists[this.#combinationOf[index] ?? 0] ?? NO_LISTS;
  }

  #extend(combination: Combination, config: RoomConfig, list: string | undefined): Combination {
    const extended = this.#extended.get(list ?? config) ?? [];
    const known = extended[combination];
    if (known !== undefined) return known;
    const before = this.#configs[combination];
    const made =
      this.#configs.push(before === undefined ? singleRoomConfig(config) : combineRoomConfigs([before, config])) - 1;
    const lists = this.#lists[combination] ?? NO_LISTS;
    this.#lists.push(list === undefined ? lists : new Set([...lists, list]));
    extended[combination] = made;
    this.#extended.set(list ?? config, extended);
    return made;
  }
}

const NO_LISTS: ReadonlySet<string> = new Set();
