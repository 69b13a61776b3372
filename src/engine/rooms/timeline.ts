import type { UserId, UserNid } from "../../model/ids.ts";
import { ORDER_KEY_STEP } from "../../model/room-facts.ts";
import type { ReadEvent, RoomData } from "../../model/room-reads.ts";
import type { Chunk } from "../../model/stored-event.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { Visibility } from "../../model/visibility.ts";
import { CREATE } from "../event-types.ts";

/** What bounds the timeline of one reader. */
export interface TimelineBounds {
  readonly reader: UserNid;
  /** Their events are left out, but for state, as homeservers do; nothing is missing where they were. */
  readonly ignored: ReadonlySet<UserId>;
  /** Events at most. */
  readonly limit: number;
  /** Events at or below it were told; undefined: the newest events, told or not. */
  readonly after: StreamPosition | undefined;
  readonly isJoined: boolean;
  /**
   * Where the reader's last change of membership stands; undefined: before the first event that was ever stored of the room, or, of
   * one who departed, nobody knows where.
   */
  readonly sinceOrderKey: number | undefined;
}

export interface TimelineCut {
  /** Oldest first. Neighbours are neighbours in the room, for this reader. */
  readonly events: readonly ReadEvent[];
  readonly limited: boolean;
  readonly prevBatch: string | undefined;
  /** The event that something not stored may stand right before; undefined: the cut has another reason, or there is none. */
  readonly hole: ReadEvent | undefined;
}

/** The newest events without a hole that the reader may see (docs/concepts/chunks-and-attestation.md). */
export function cutTimeline(data: RoomData, bounds: TimelineBounds): TimelineCut {
  const { timeline } = data;
  let first = timeline.length;
  let end = nextStep(data, bounds, first);
  while (end === "goes on") end = nextStep(data, bounds, --first);
  const events = timeline.slice(first).filter((event) => !isIgnored(event, bounds));
  return {
    events,
    limited: end === "cut" || end === "hole",
    prevBatch: nearestToken(events)?.token ?? timeline.at(-1)?.tokenAfter,
    hole: end === "hole" ? timeline[first] : undefined,
  };
}

/**
 * Whether the event before `first` belongs to the cut as well; else whether something is missing before `first`, be it that it
 * is not stored.
 */
function nextStep(data: RoomData, bounds: TimelineBounds, first: number): "goes on" | "whole" | "cut" | "hole" {
  const older = data.timeline[first - 1];
  const newer = data.timeline[first];
  if (older === undefined) return isWholeFrom(newer, data, bounds) ? "whole" : "hole";
  if (newer !== undefined && !areNeighbours(older, newer, data, bounds.reader)) return "hole";
  if (bounds.after !== undefined && older.position <= bounds.after) return "whole";
  if (data.timeline.length - first >= bounds.limit || !isVisible(older, bounds)) return "cut";
  return "goes on";
}

const isIgnored = ({ sender, stateKey }: ReadEvent, { ignored }: TimelineBounds): boolean =>
  stateKey === undefined && ignored.has(sender);

/** Nothing older is stored. Without any event there is nothing new; what a new reader misses is not known. */
function isWholeFrom(first: ReadEvent | undefined, data: RoomData, bounds: TimelineBounds): boolean {
  if (first === undefined) return bounds.after !== undefined;
  return first.type === CREATE && data.chunks.get(first.chunk)?.isStart === true;
}

function areNeighbours(older: ReadEvent, newer: ReadEvent, data: RoomData, reader: UserNid): boolean {
  const chunk = data.chunks.get(newer.chunk);
  if (chunk === undefined || !isAttested(chunk, reader)) return false;
  return older.chunk === newer.chunk || chunk.continues;
}

const isAttested = (chunk: Chunk, reader: UserNid): boolean =>
  chunk.attestedFor === undefined || chunk.attestedFor === reader;

/**
 * What came before the reader's present membership is shown only where the room's history is open to all its members.
 * Of a departed reader's earlier membership nothing is known but its end.
 */
export function isVisible(
  event: Pick<ReadEvent, "visibility" | "orderKey">,
  { isJoined, sinceOrderKey }: Pick<TimelineBounds, "isJoined" | "sinceOrderKey">,
): boolean {
  if (event.visibility === Visibility.shared || event.visibility === Visibility.worldReadable) return true;
  if (!isJoined) return event.orderKey === sinceOrderKey;
  return event.orderKey >= (sinceOrderKey ?? ORDER_KEY_STEP);
}

/** A token at or after the first of some events. */
export interface NearestToken {
  readonly token: string;
  /** Which of them it stands at. */
  readonly at: number;
  /** It stands right before that one, as against somewhere after it. */
  readonly isBefore: boolean;
}

/**
 * The nearest stored token at or after the first event. All events of a batch share their position, and a response's
 * token stands behind its batch: before the token of the first event of the next one.
 */
export function nearestToken(events: readonly ReadEvent[]): NearestToken | undefined {
  for (const [at, event] of events.entries()) {
    if (event.tokenBefore !== undefined) return { token: event.tokenBefore, at, isBefore: true };
    const isLastOfBatch = events[at + 1]?.position !== event.position;
    if (isLastOfBatch && event.tokenAfter !== undefined) return { token: event.tokenAfter, at, isBefore: false };
  }
  return undefined;
}
