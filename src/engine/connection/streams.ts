import type { StreamPosition } from "../../model/stream-position.ts";

/** What of a room is told apart from the room itself, by an extension each. */
export const ROOM_STREAMS = ["accountData", "receipts", "typing"] as const;
export type RoomStream = (typeof ROOM_STREAMS)[number];

/** `"live"`: everything up to the stream position of `pos`. A position: up to it, then something was missed. undefined: never. */
export type StreamUpTo = "live" | StreamPosition | undefined;

export type StreamsTold = Readonly<Record<RoomStream, StreamUpTo>>;

export const NO_STREAM_TOLD: StreamsTold = { accountData: undefined, receipts: undefined, typing: undefined };

const shared = new Map<string, StreamsTold>([[keyOf(NO_STREAM_TOLD), NO_STREAM_TOLD]]);

/** Equal ones in which nothing was missed are one object: thousands of rooms then cost a map entry each. */
export function sharedStreams(told: StreamsTold): StreamsTold {
  if (ROOM_STREAMS.some((stream) => typeof told[stream] === "number")) return told;
  const key = keyOf(told);
  const known = shared.get(key) ?? told;
  shared.set(key, known);
  return known;
}

/** `told`, but for one stream; the same object when that is as before. */
export const withStream = (told: StreamsTold, stream: RoomStream, upTo: StreamUpTo): StreamsTold =>
  told[stream] === upTo ? told : sharedStreams({ ...told, [stream]: upTo });

export const isNothingTold = (told: StreamsTold): boolean => ROOM_STREAMS.every((stream) => told[stream] === undefined);

export const isEqualTold = (a: StreamsTold, b: StreamsTold): boolean =>
  a === b || ROOM_STREAMS.every((stream) => a[stream] === b[stream]);

function keyOf(told: StreamsTold): string {
  return ROOM_STREAMS.map((stream) => told[stream] ?? "never").join();
}
