import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { AccountDataEvent } from "../response/room-section.ts";

/** Whom the user's `m.ignored_user_list` event names. */
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

/** Whom account data names to be ignored; undefined: it does not say. */
export function ignoredIn(accountData: readonly AccountDataEvent[]): ReadonlySet<string> | undefined {
  const list = accountData.findLast(({ type }) => type === "m.ignored_user_list");
  return list && ignoredBy(list.body);
}
