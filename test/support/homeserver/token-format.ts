import { MatrixError } from "./matrix-error.ts";
import { formatToken, parseToken, type RoomKey, type StreamToken, ZERO_TOKEN } from "./tokens.ts";

export type Direction = "b" | "f";

/** How a homeserver writes its positions. */
export interface TokenFormat {
  /** `next_batch` and `since`. */
  batch(token: StreamToken): string;
  /** Undefined: from the beginning, as if there were none. */
  parseBatch(text: string): StreamToken | undefined;
  /** A point in a room, from which `/messages` goes on in a direction. */
  page(token: StreamToken, direction: Direction): string;
  parsePage(text: string, direction: Direction): StreamToken;
}

/** Synapse: thirteen streams, the same form for both uses. */
export const synapseTokens: TokenFormat = {
  batch: formatToken,
  parseBatch: parseToken,
  page: formatToken,
  parsePage: parseToken,
};

const DENDRITE_STREAMS = [
  "typing",
  "receipt",
  "toDevice",
  "groups",
  "accountData",
  "deviceList",
  "pushRules",
  "presence",
] as const;

/** Dendrite: `s` and nine streams, and `t` with depth and position for a point in a room. */
export const dendriteTokens: TokenFormat = {
  batch: (token) => `s${[token.room.stream, ...DENDRITE_STREAMS.map((stream) => token[stream])].join("_")}`,
  parseBatch: parseDendriteBatch,
  page: ({ room }) => (room.depth === undefined ? `s${room.stream}_0_0_0_0_0_0_0_0` : `t${room.depth}_${room.stream}`),
  parsePage: (text) => {
    if (text.startsWith("s")) return parseDendriteBatch(text);
    const [, depth, stream] = /^t(\d+)_(\d+)$/.exec(text) ?? [];
    if (depth === undefined || stream === undefined) throw malformed();
    return atKey({ depth: Number(depth), stream: Number(stream) });
  },
};

function parseDendriteBatch(text: string): StreamToken {
  const [, list = ""] = /^s(\d+(?:_\d+){8})$/.exec(text) ?? [];
  const [stream, ...numbers] = list.split("_").map(Number);
  if (list === "" || stream === undefined) throw malformed();
  const streams = Object.fromEntries(DENDRITE_STREAMS.map((name, index) => [name, numbers[index] ?? 0]));
  return { ...ZERO_TOKEN, ...streams, room: { depth: undefined, stream } };
}

const malformed = () => new MatrixError(400, "M_INVALID_PARAM", "malformed sync token");

/**
 * tuwunel: the number of what happened last, of whatever kind. Going back from a number leaves out the event that has it.
 * A `since` that is no number counts as none.
 */
export const tuwunelTokens: TokenFormat = {
  batch: ({ room }) => String(room.stream),
  parseBatch: (text) => (/^0*[1-9]\d*$/.test(text) ? atNumber(Number(text)) : undefined),
  page: ({ room }, direction) => String(direction === "b" ? room.stream + 1 : room.stream),
  parsePage: (text, direction) => {
    if (!/^-?\d+$/.test(text)) throw new MatrixError(400, "M_INVALID_PARAM", "Invalid `from` parameter");
    return atKey({ depth: undefined, stream: direction === "b" ? Number(text) - 1 : Number(text) });
  },
};

const atKey = (room: RoomKey): StreamToken => ({ ...ZERO_TOKEN, room });

function atNumber(number: number): StreamToken {
  const streams = Object.fromEntries(Object.keys(ZERO_TOKEN).map((name) => [name, number]));
  return { ...(streams as Omit<StreamToken, "room">), room: { depth: undefined, stream: number } };
}
