import type { RequiredState, RoomConfig } from "../../engine/request.ts";
import { ByteCache } from "../../lib/byte-cache.ts";
import { isStorableText } from "../../lib/json-value.ts";
import type { UserId } from "../../model/ids.ts";
import type { StateSelector } from "../../model/room-reads.ts";
import type { WireValue } from "../shared/wire-value.ts";

/** Memory for configs that clients ask with. Less: what follows from a config is worked out again more often. */
const KNOWN_BYTES = 8 * 1024 * 1024;

/** What a config weighs for each character of its JSON; an estimate that errs upwards. */
const BYTES_PER_CHARACTER = 10;

/**
 * Makes one object of equal configs: of one request, and of those that clients make again and again. What the engine works out
 * of a config it keeps with the object.
 */
export class KnownConfigs {
  readonly #byJson = new ByteCache<string, { readonly config: RoomConfig; readonly bytes: number }>({
    maxBytes: KNOWN_BYTES,
  });

  /** What a client wrote means the same whenever the same user writes it; `read` throws for what means nothing. */
  asWritten(json: string, reader: UserId, read: () => RoomConfig): RoomConfig {
    const written = `${json} ${reader}`;
    return this.#byJson.get(written)?.config ?? this.#keep(written, this.#one(read()));
  }

  #one(config: RoomConfig): RoomConfig {
    const json = JSON.stringify(config);
    return this.#byJson.get(json)?.config ?? this.#keep(json, config);
  }

  #keep(json: string, config: RoomConfig): RoomConfig {
    this.#byJson.set(json, { config, bytes: json.length * BYTES_PER_CHARACTER });
    return config;
  }
}

/** Reads `timeline_limit` and `required_state`. */
export class RoomConfigParser {
  readonly #reader: UserId;
  readonly #maxTimelineLimit: number;
  readonly #known: KnownConfigs;

  constructor(reader: UserId, maxTimelineLimit: number, known: KnownConfigs) {
    this.#reader = reader;
    this.#maxTimelineLimit = maxTimelineLimit;
    this.#known = known;
  }

  /** A missing limit counts as 0: matrix-js-sdk leaves it out, and answers a 400 by asking again without end. */
  parse(wire: WireValue): RoomConfig {
    const [limit, state] = [wire.at("timeline_limit"), wire.at("required_state")];
    return this.#known.asWritten(`${limit.json()} ${state.json()}`, this.#reader, () => ({
      timelineLimit: limit.isMissing ? 0 : Math.min(limit.count(), this.#maxTimelineLimit),
      requiredState: state.optional((value) => this.#requiredState(value)) ?? NO_STATE,
    }));
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
    const parts = wire.items();
    const [type, stateKey] = parts;
    if (type === undefined || stateKey === undefined || parts.length > 2)
      throw wire.badJson("must be [type, state_key]");
    return [type.text(), stateKey.text()];
  }
}

const NO_STATE: RequiredState = { selectors: [], lazyMembers: false };

const orAny = (part: string): string | undefined => (part === "*" ? undefined : part);
