/**
 * How long ago an event may have been sent for its sender's device to be still waiting for it, by the homeserver's clock. Longer:
 * more is noted of what streams bring. Shorter: with a homeserver whose clock is behind, nothing is waited for.
 */
const JUST_SENT_MS = 10 * 60_000;

/** Events sent later may still be shown by the device that sent them as what it is sending; before, they are history. */
export const justSentAfterMs = (nowMs: number): number => nowMs - JUST_SENT_MS;
