import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { AccountDataEvent } from "../response/room-section.ts";

/** Whether the user's `m.ignored_user_list` event names anybody. */
export function ignoresSomebody(event: Buffer): boolean {
  const value = parseJson(event);
  return isJsonObject(value) && namesSomebody(value.content);
}

/** Whether the content of a list of ignored users names anybody. */
export function namesSomebody(content: unknown): boolean {
  const ignored = isJsonObject(content) ? content.ignored_users : undefined;
  return isJsonObject(ignored) && Object.keys(ignored).length > 0;
}

/** Whether account data names anybody to ignore; undefined: it does not say. */
export function ignoringIn(accountData: readonly AccountDataEvent[]): boolean | undefined {
  const list = accountData.findLast(({ type }) => type === "m.ignored_user_list");
  return list === undefined ? undefined : ignoresSomebody(list.body);
}
