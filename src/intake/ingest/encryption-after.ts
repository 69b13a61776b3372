import type { RoomRow } from "../../model/room-row.ts";
import { ENCRYPTION } from "../response/parse-event.ts";
import type { EventBook } from "./event-book.ts";
import type { SectionFold } from "./section-fold.ts";

/**
 * Where the room became encrypted, after a section of it: at the event; where that is in no timeline, at the first event after
 * the gap, or behind all that was known. A room that was encrypted when it was first told always was.
 *
 * @param row as it was before the section as to where its timeline ends.
 */
export function encryptionAfter(
  { wasEncrypted, isBaseline, section: { timeline } }: SectionFold,
  { isEncrypted, encryptionOrderKey, lastOrderKey = 0 }: RoomRow,
  events: Pick<EventBook, "orderKeyOf">,
): Pick<RoomRow, "encryptionOrderKey"> {
  if (wasEncrypted || isBaseline || !isEncrypted) return { encryptionOrderKey };
  const event = timeline.find(({ type, stateKey }) => type === ENCRYPTION && stateKey === "") ?? timeline[0];
  return { encryptionOrderKey: (event && events.orderKeyOf(event.eventId)) ?? lastOrderKey + 1 };
}
