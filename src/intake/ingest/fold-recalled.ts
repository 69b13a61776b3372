import { ChangeFlag, ChangeStream } from "../../model/change.ts";
import type { EventNid } from "../../model/ids.ts";
import { isDeparted, membershipOf } from "../../model/membership.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Numbers, Source } from "./source.ts";
import { isMemberOf } from "./state-claim.ts";

interface Recalled {
  readonly numbers: Numbers;
  /** At or after the departure. */
  readonly token: string | undefined;
}

/**
 * Folds a room that its user left, as it was then, into its draft: for that user alone, and as nothing but what it was. No event gets
 * a place, no state is claimed: others may have the room as it is. Where anything is known of the user in the room, that is newer.
 */
export function foldRecalled(
  draft: RoomDraft,
  { timeline, state, prevBatch }: ParsedSection,
  { userId, userNid, nowUs }: Source,
  { numbers, token }: Recalled,
): readonly NewChange[] {
  const departure = timeline.at(-1);
  const membership = departure && membershipOf(departure.content);
  const isOut = departure !== undefined && isMemberOf(departure, userId) && membership !== undefined;
  if (!isOut || !isDeparted(membership) || draft.memberships.has(userId)) return [];
  const batch = numbers.batch();
  const { room } = draft.row;
  const nids = (events: readonly ParsedEvent[]): readonly EventNid[] =>
    events.flatMap((event) => {
      if (draft.events.nidOf(event.eventId) === undefined) draft.keep(event, batch);
      return draft.events.nidOf(event.eventId) ?? [];
    });
  const shown = { timeline: nids(timeline), state: nids(state), tokenBefore: prevBatch, tokenAfter: token };
  const nid = shown.timeline.at(-1);
  if (nid === undefined) return [];
  const { sender, originServerTsMs } = departure;
  const sinceUs = Math.min(Math.max(0, originServerTsMs * 1000), nowUs);
  const own = { userNid, membership, sender, nid, stripped: undefined };
  const sinceOrderKey = draft.events.orderKeyOf(departure.eventId);
  draft.writes.recalled.push({ userNid, nid, ...shown });
  draft.writes.memberships.push({ ...own, batch, isTransition: true, sinceOrderKey, sinceUs });
  const none = { heroes: [], notifications: 0, highlights: 0 };
  draft.memberships.set(userId, { ...own, ...none, userId, room, since: undefined, sinceOrderKey });
  return [{ batch, stream: ChangeStream.membership, room, userNid, flags: ChangeFlag.columns }];
}
