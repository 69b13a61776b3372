import { isJsonObject } from "../lib/json-value.ts";
import { contentOf } from "./event-content.ts";

/** Whom a user's `m.ignored_user_list` event names (Client-Server API, "Ignoring users"); what is no list names nobody. */
export const ignoredBy = (event: Buffer): ReadonlySet<string> => new Set(namesIn(contentOf(event)));

function namesIn(content: unknown): readonly string[] {
  const ignored = isJsonObject(content) ? content.ignored_users : undefined;
  return isJsonObject(ignored) ? Object.keys(ignored) : [];
}

/** Whether the content of a list of ignored users names anybody. */
export const namesSomebody = (content: unknown): boolean => namesIn(content).length > 0;
