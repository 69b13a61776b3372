import type { StoredEvent } from "./event.ts";
import { isObject } from "./json.ts";

export function relationTypeOf(event: StoredEvent): string | undefined {
  const relation = event.content["m.relates_to"];
  return isObject(relation) && typeof relation.rel_type === "string" ? relation.rel_type : undefined;
}

export function relatedTo(event: StoredEvent): string | undefined {
  const relation = event.content["m.relates_to"];
  return isObject(relation) && typeof relation.event_id === "string" ? relation.event_id : undefined;
}

/** The thread that an event belongs to: its root's id. */
export function threadOf(event: StoredEvent): string | undefined {
  return relationTypeOf(event) === "m.thread" ? relatedTo(event) : undefined;
}
