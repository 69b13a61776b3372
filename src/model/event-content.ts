import { isJsonObject, parseJson } from "../lib/json-value.ts";

/** The content of an event as raw JSON; undefined where it has none. */
export function contentOf(event: Buffer): unknown {
  const value = parseJson(event);
  return isJsonObject(value) ? value.content : undefined;
}
