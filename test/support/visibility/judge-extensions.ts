import type { ExtensionsResponse } from "../../../src/engine/response.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import type { Judging } from "./judge.ts";
import { VisibilityModel } from "./model.ts";

interface Judged {
  readonly violations: readonly string[];
  /** How much was looked at. */
  readonly looks: number;
}

/** Judges what one answer tells beside its rooms. */
export function judgeExtensions(judging: Judging, { receipts, typing, accountData }: ExtensionsResponse): Judged {
  const { reader, events, ledger, knownAt } = judging;
  const roomId = judging.roomId as RoomId;
  const violations: string[] = [];
  let looks = 0;
  const require = (isAllowed: boolean, what: string) => {
    looks += 1;
    if (!isAllowed) violations.push(`${reader} is shown ${what}`);
  };
  const rooms = [receipts, typing, accountData].flatMap((answer) => [...(answer?.rooms.keys() ?? [])]);
  for (const each of rooms) require(each === roomId, `something of ${each}`);
  const isIgnored = ledger.ignoredSince(reader, knownAt);
  const modelAt = (time: number) => new VisibilityModel({ events, reader, isTold: ledger.isToldBy(time) });
  const shown = receipts?.rooms.get(roomId) ?? [];
  const users = typing?.rooms.get(roomId);
  if (shown.length > 0 || users !== undefined) require(modelAt(knownAt).mayBe("join"), "receipts or typing of others");
  for (const userId of users ?? []) require(!isIgnored(userId), `that ${userId} types, who is ignored`);
  for (const { userId, type, eventId } of shown) {
    if (userId === reader) continue;
    require(type === "m.read", `a receipt ${type} of ${userId}`);
    require(!isIgnored(userId), `a receipt of ${userId}, who is ignored`);
    const index = events.findIndex((event) => event.eventId === eventId);
    const broughtAt = ledger.broughtAt(eventId);
    // One that was stored since was not known to who answered.
    if (broughtAt === undefined || broughtAt > knownAt) continue;
    const model = modelAt(knownAt);
    require(model.maySee(index) || model.mayKnow(index), `a receipt on no. ${index}, ${events[index]?.type}`);
  }
  return { violations, looks };
}
