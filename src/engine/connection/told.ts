import { isDeparted, isStripped, type Membership } from "../../model/membership.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { SentAs, Told } from "./state.ts";
import type { RoomStream } from "./streams.ts";

export const sentAs = (membership: Membership): SentAs => {
  if (isStripped(membership)) return "stripped";
  return isDeparted(membership) ? "departed" : "joined";
};

/** The position up to which a room was told, for an answer that begins at `from`. */
export const toldUpTo = (told: Told, from: StreamPosition): StreamPosition => (told.upTo === "live" ? from : told.upTo);

/** Whether a client that was told of the room does not know yet that the reader, since `since`, is out of it. */
export const owesDeparture = (told: Told, since: StreamPosition, from: StreamPosition): boolean =>
  told.as !== "departed" || since > toldUpTo(told, from);

/** Account data is the reader's own, whatever they are in the room; of the others only who is in it is told. */
export const isToldOf = (stream: RoomStream, as: SentAs): boolean => stream === "accountData" || as === "joined";
