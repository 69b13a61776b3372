import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";

const MEMBER = "m.room.member";
const NONE: ReadonlySet<ParsedEvent> = new Set();

/**
 * The last member event of each user in a timeline of whom `state_after` says nothing: of members it has those that the timeline
 * was sent by, so that it may lack who was invited or sent away. Whether such an event stands is to be asked.
 */
export function untoldMembers({ kind, timeline, state, isStateAfter }: ParsedSection): ReadonlySet<ParsedEvent> {
  if (!isStateAfter || kind !== "join") return NONE;
  const told = new Set(state.flatMap(({ type, stateKey }) => (type === MEMBER ? [stateKey] : [])));
  const last = new Map<string, ParsedEvent>();
  for (const event of timeline) {
    const { type, stateKey } = event;
    if (type === MEMBER && stateKey !== undefined && !told.has(stateKey)) last.set(stateKey, event);
  }
  return new Set(last.values());
}
