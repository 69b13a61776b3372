import type { RequiredState, RoomConfig } from "../../engine/request.ts";
import { isStorableText } from "../../lib/json-value.ts";
import type { UserId } from "../../model/ids.ts";
import type { StateSelector } from "../../model/room-reads.ts";
import type { WireValue } from "../shared/wire-value.ts";

/** Reads `timeline_limit` and `required_state`. Equal configs of one request become one object. */
export class RoomConfigParser {
  readonly #reader: UserId;
  readonly #maxTimelineLimit: number;
  readonly #known = new Map<string, RoomConfig>();

  constructor(reader: UserId, maxTimelineLimit: number) {
    this.#reader = reader;
    this.#maxTimelineLimit = maxTimelineLimit;
  }

  /** A missing limit counts as 0: matrix-js-sdk leaves it out, and answers a 400 by asking again without end. */
  parse(wire: WireValue): RoomConfig {
    const limit = wire.at("timeline_limit");
    const config: RoomConfig = {
      timelineLimit: limit.isMissing ? 0 : Math.min(limit.count(), this.#maxTimelineLimit),
      requiredState: wire.at("required_state").optional((value) => this.#requiredState(value)) ?? NO_STATE,
    };
    const key = JSON.stringify(config);
    const known = this.#known.get(key) ?? config;
    this.#known.set(key, known);
    return known;
  }

  #requiredState(wire: WireValue): RequiredState {
    const selectors: StateSelector[] = [];
    let lazyMembers = false;
    for (const pair of wire.items()) {
      const [type, stateKey] = this.#pair(pair);
      // No event that is stored has such a type or key, and no database takes a question for one.
      if (!isStorableText(type) || !isStorableText(stateKey)) continue;
      if (type === "m.room.member" && stateKey === "$LAZY") lazyMembers = true;
      else selectors.push({ type: orAny(type), stateKey: stateKey === "$ME" ? this.#reader : orAny(stateKey) });
    }
    return { selectors, lazyMembers };
  }

  #pair(wire: WireValue): readonly [string, string] {
    const [type, stateKey, ...rest] = wire.items();
    if (type === undefined || stateKey === undefined || rest.length > 0)
      throw wire.badJson("must be [type, state_key]");
    return [type.text(), stateKey.text()];
  }
}

const NO_STATE: RequiredState = { selectors: [], lazyMembers: false };

const orAny = (part: string): string | undefined => (part === "*" ? undefined : part);
