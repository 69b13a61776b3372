import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import { type Visibility, visibilityOf } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import { isVisibilityEvent } from "./state-claim.ts";

/**
 * History visibility in force before the first change of it in a timeline, as `prev_content` of that change says; undefined:
 * nothing changes, or it does not say. Dendrite tells state of now, which is no help: there the change itself is left out of it.
 */
export function replacedVisibility(timeline: readonly ParsedEvent[]): Visibility | undefined {
  const unsigned = timeline.find(isVisibilityEvent)?.unsigned;
  const shared = unsigned && parseJson(unsigned);
  const before = isJsonObject(shared) ? shared.prev_content : undefined;
  return isJsonObject(before) ? visibilityOf(before.history_visibility) : undefined;
}
