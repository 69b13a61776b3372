// Makes two servers' answers comparable: ids, tokens and times get stable names, and what has no order loses it.

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const TIMES = new Set(["origin_server_ts", "age", "ts"]);
const TOKENS = new Set(["next_batch", "prev_batch", "start", "end"]);
/** Lists of events in their order. */
const TIMELINES = new Set(["timeline", "chunk", "events_before", "events_after"]);
/** Lists of state events; the one without a name is the whole answer. */
const STATES = new Set(["state", "org.matrix.msc4222.state_after", "state_after", "invite_state", "knock_state", ""]);
/** Lists of strings whose order means nothing. */
const SETS = new Set(["changed", "left", "joined_rooms", "user_ids"]);

/**
 * `names` maps room and event ids to names. Events that have an order become `{order, events}` so that one event too many shows as
 * such and not as a difference of everything after it; state becomes an object by type and key, account data and ephemeral events by
 * type.
 */
export function normalise(answer: unknown, names: ReadonlyMap<string, string>): Json {
  return new Normaliser(names).value(answer as Json, "", "");
}

class Normaliser {
  readonly #names: ReadonlyMap<string, string>;

  constructor(names: ReadonlyMap<string, string>) {
    this.#names = names;
  }

  value(value: Json, key: string, parent: string): Json {
    if (typeof value === "number") return TIMES.has(key) ? "<time>" : value;
    if (typeof value === "string") return TOKENS.has(key) ? "<token>" : this.#name(value);
    if (Array.isArray(value)) return this.#list(value, key, parent);
    if (value === null || typeof value !== "object") return value;
    // The members of a room have no order, the messages have.
    const isUnordered = "chunk" in value && !("start" in value);
    const entries = Object.entries(value).map(([name, child]) => {
      return [this.#name(name), this.value(child, isUnordered ? "state" : name, key)] as const;
    });
    return Object.fromEntries(entries);
  }

  #name(text: string): string {
    const name = this.#names.get(text);
    if (name !== undefined) return name;
    // What the room's keeper never saw has no name, and should not exist.
    if (/^\$[\w+/-]{40,}/.test(text)) return "<unknown event>";
    return /^![\w-]{15,}/.test(text) ? "<unknown room>" : text;
  }

  #list(list: Json[], key: string, parent: string): Json {
    const kind = key === "events" ? parent : key;
    const values = list.map((value) => this.value(value, "", key));
    if (TIMELINES.has(kind)) return ordered(values);
    if (STATES.has(kind)) {
      return keyed(values, (event) => `${text(event.type)}|${text(event.state_key)}`);
    }
    if (kind === "account_data" || kind === "ephemeral") return keyed(values, (event) => text(event.type));
    return SETS.has(key) ? values.toSorted() : values;
  }
}

/** The events in their order by id, and each by its id. */
function ordered(events: Json[]): Json {
  return {
    order: events.map((event) => text(asObject(event).event_id)),
    ...keyed(events, (event) => text(event.event_id)),
  };
}

function keyed(values: Json[], keyOf: (value: { [key: string]: Json }) => string): { [key: string]: Json } {
  const result: { [key: string]: Json } = {};
  for (const value of values) {
    let key = keyOf(asObject(value));
    while (key in result) key += " again";
    result[key] = value;
  }
  return result;
}

const asObject = (value: Json): { [key: string]: Json } =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? value : { value };

const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
