import { isJsonObject, parseJson } from "../lib/json-value.ts";

/** Whom a user's `m.ignored_user_list` event names (Client-Server API, "Ignoring users"); what is no list names nobody. */
export function ignoredBy(event: Buffer): ReadonlySet<string> {
  const value = parseJson(event);
  return new Set(isJsonObject(value) ? namesIn(value.content) : []);
}

function namesIn(content: unknown): readonly string[] {
  const ignored = isJsonObject(content) ? content.ignored_users : undefined;
  return isJsonObject(ignored) ? Object.keys(ignored) : [];
}

/** Whether the content of a list of ignored users names anybody. */
export const namesSomebody = (content: unknown): boolean => namesIn(content).length > 0;
