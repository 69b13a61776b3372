import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { AccountDataEvent } from "../response/room-section.ts";

/** Whether the user's `m.ignored_user_list` event names anybody. */
export const ignoresSomebody = (event: Buffer): boolean => namesOf(event).length > 0;

function namesOf(event: Buffer): readonly string[] {
  const value = parseJson(event);
  return isJsonObject(value) ? namesIn(value.content) : [];
}

function namesIn(content: unknown): readonly string[] {
  const ignored = isJsonObject(content) ? content.ignored_users : undefined;
  return isJsonObject(ignored) ? Object.keys(ignored) : [];
}

/** Whether the content of a list of ignored users names anybody. */
export const namesSomebody = (content: unknown): boolean => namesIn(content).length > 0;

/** Whether account data names anybody to ignore; undefined: it does not say. */
export function ignoringIn(accountData: readonly AccountDataEvent[]): boolean | undefined {
  const list = listIn(accountData);
  return list === undefined ? undefined : ignoresSomebody(list.body);
}

/** Whom account data names to be ignored. */
export function ignoredIn(accountData: readonly AccountDataEvent[]): ReadonlySet<string> {
  const list = listIn(accountData);
  return new Set(list === undefined ? [] : namesOf(list.body));
}

const listIn = (accountData: readonly AccountDataEvent[]): AccountDataEvent | undefined =>
  accountData.findLast(({ type }) => type === "m.ignored_user_list");
