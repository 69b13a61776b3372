import type { StoredEvent } from "./event.ts";
import { isBefore, type Room } from "./room.ts";
import type { RoomKey } from "./tokens.ts";

export interface PageRequest {
  /** `/messages` and a first sync read the room by depth; an incremental sync reads it as it arrived. */
  readonly order: "topological" | "stream";
  readonly direction: "b" | "f";
  readonly from: RoomKey;
  /** Exclusive end when going back, inclusive when going forward. */
  readonly to?: RoomKey | undefined;
  readonly limit: number;
  readonly matches?: ((event: StoredEvent) => boolean) | undefined;
}

export interface Page {
  /** In the direction of the request. */
  readonly events: StoredEvent[];
  readonly next: RoomKey;
  /** There may be more. */
  readonly isLimited: boolean;
}

/** A page of a room. Events that no client may see are in it: who may see which is the caller's question. */
export function paginate(room: Room, request: PageRequest): Page {
  const events = request.order === "stream" ? room.timeline : room.topological;
  const isBack = request.direction === "b";
  const picked: StoredEvent[] = [];
  for (let index = firstIndex(room, request); picked.length <= request.limit; index += isBack ? -1 : 1) {
    const event = events[index];
    if (event === undefined || isPast(event, request)) break;
    if (isWithin(event, request) && (request.matches?.(event) ?? true)) picked.push(event);
  }
  const isLimited = picked.length > request.limit;
  const page = picked.slice(0, request.limit);
  // Synapse reads pages with previous content, and its event cache keeps it.
  for (const event of page) event.knowsPrevious = true;
  const last = page.at(-1);
  const next = last === undefined ? (request.to ?? request.from) : keyBeside(last, request);
  return { events: page, next, isLimited };
}

/** Arrival order can be searched; depth order is walked from its end, as late events stand inside it. */
function firstIndex(room: Room, { order, direction, from }: PageRequest): number {
  const isBack = direction === "b";
  if (order === "stream") return isBack ? room.indexAfter(from.stream) - 1 : room.indexAfter(from.stream);
  return isBack ? room.topological.length - 1 : 0;
}

function isPast(event: StoredEvent, { order, direction, to }: PageRequest): boolean {
  return order === "stream" && direction === "b" && to !== undefined && isBefore(event, to);
}

function isWithin(event: StoredEvent, { direction, from, to }: PageRequest): boolean {
  if (direction === "b") return isBefore(event, from) && (to === undefined || !isBefore(event, to));
  return !isBefore(event, from) && (to === undefined || isBefore(event, to));
}

function keyBeside(event: StoredEvent, { order, direction }: PageRequest): RoomKey {
  const stream = direction === "b" ? event.stream - 1 : event.stream;
  return { depth: order === "stream" ? undefined : event.depth, stream };
}
