import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import type { RoomId } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import type { Asker, Contest } from "../ingest/contest.ts";

/** The homeserver does not name a room among those that a user is in: whether they are in it is to be asked. */
export const goneFrom = (
  { userNid, userId }: Asker,
  roomId: RoomId,
  stored: Membership = Membership.join,
): Contest => ({
  kind: "membership",
  userNid,
  userId,
  roomId,
  stored,
  claimed: { kind: "leave", stripped: [], own: [] },
});

/** The homeserver does not show a room to who asks, or does not know it. Any other error is thrown. */
export function assertRefusal(error: unknown): void {
  const fault = error instanceof UpstreamError ? error.fault : undefined;
  if (fault?.kind !== "status" || (fault.status !== 403 && fault.status !== 404)) throw error;
}

/** What is to be asked when the homeserver did not show a room to a user. A refusal alone puts nobody out of a room. */
export async function afterRefusal(
  values: Pick<ValueReads, "joinedRooms">,
  call: ReadCall,
  asker: Asker,
  roomId: RoomId,
): Promise<readonly Contest[]> {
  const joined = await values.joinedRooms(call);
  return joined.has(roomId) ? [] : [goneFrom(asker, roomId)];
}
