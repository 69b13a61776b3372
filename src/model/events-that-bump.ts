/** Event types that count as activity for `bump_stamp` (MSC4186 "Bump stamp", and Synapse's unstable names). */
const BUMP_TYPES: ReadonlySet<string> = new Set([
  "m.room.create",
  "m.room.message",
  "m.room.encrypted",
  "m.sticker",
  "m.call.invite",
  "m.poll.start",
  "org.matrix.msc3381.poll.start",
  "m.beacon_info",
  "org.matrix.msc3672.beacon_info",
]);

export const isBumpType = (type: string): boolean => BUMP_TYPES.has(type);
