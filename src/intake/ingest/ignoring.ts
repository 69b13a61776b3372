import { ignoredBy } from "../../model/ignored-users.ts";
import type { AccountDataEvent } from "../response/room-section.ts";

/** Whom account data names to be ignored; undefined: it does not say. */
export function ignoredIn(accountData: readonly AccountDataEvent[]): ReadonlySet<string> | undefined {
  const list = accountData.findLast(({ type }) => type === "m.ignored_user_list");
  return list && ignoredBy(list.body);
}
