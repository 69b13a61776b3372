import { MatrixError } from "./matrix-error.ts";

/** A point between two events: after `stream`, or, with `depth`, a point in topological order (depth, then stream). */
export interface RoomKey {
  readonly depth: number | undefined;
  readonly stream: number;
}

/** Synapse's thirteen streams; those that nothing here moves stay at their start values. */
export interface StreamToken {
  readonly room: RoomKey;
  readonly presence: number;
  readonly typing: number;
  readonly receipt: number;
  readonly accountData: number;
  readonly pushRules: number;
  readonly toDevice: number;
  readonly deviceList: number;
  readonly groups: number;
  readonly unPartialStated: number;
  readonly threadSubscriptions: number;
  readonly sticky: number;
  readonly quarantinedMedia: number;
}

const FIELDS = [
  "presence",
  "typing",
  "receipt",
  "accountData",
  "pushRules",
  "toDevice",
  "deviceList",
  "groups",
  "unPartialStated",
  "threadSubscriptions",
  "sticky",
  "quarantinedMedia",
] as const;

export const ZERO_TOKEN: StreamToken = {
  room: { depth: undefined, stream: 0 },
  presence: 0,
  typing: 0,
  receipt: 0,
  accountData: 0,
  pushRules: 0,
  toDevice: 0,
  deviceList: 0,
  groups: 0,
  unPartialStated: 0,
  threadSubscriptions: 0,
  sticky: 0,
  quarantinedMedia: 0,
};

export function formatToken(token: StreamToken): string {
  const { depth, stream } = token.room;
  const room = depth === undefined ? `s${stream}` : `t${depth}-${stream}`;
  return [room, ...FIELDS.map((field) => token[field])].join("_");
}

export function parseToken(text: string): StreamToken {
  const parts = text.split("_");
  // Synapse pads the tokens of its own older releases, which had fewer streams.
  while (parts.length < FIELDS.length + 1) parts.push("0");
  const [room = "", ...rest] = parts;
  const numbers = rest.map(integer);
  if (rest.length !== FIELDS.length) throw invalid();
  return {
    room: parseRoomKey(room),
    ...(Object.fromEntries(FIELDS.map((field, index) => [field, numbers[index] ?? 0])) as Omit<StreamToken, "room">),
  };
}

export function sameToken(a: StreamToken, b: StreamToken): boolean {
  return formatToken(a) === formatToken(b);
}

/** A token from the future (a restored backup, a hostile client) is cut to what exists. */
export function clampToken(token: StreamToken, now: StreamToken): StreamToken {
  const fields = FIELDS.map((field) => [field, Math.min(token[field], now[field])]);
  return {
    room: { depth: token.room.depth, stream: Math.min(token.room.stream, now.room.stream) },
    ...(Object.fromEntries(fields) as Omit<StreamToken, "room">),
  };
}

export function atStream(token: StreamToken, stream: number): StreamToken {
  return { ...token, room: { depth: undefined, stream } };
}

function parseRoomKey(text: string): RoomKey {
  const [, stream] = /^s(\d+)$/.exec(text) ?? [];
  if (stream !== undefined) return { depth: undefined, stream: integer(stream) };
  const [, depth, tail] = /^t(-?\d+)-(\d+)$/.exec(text) ?? [];
  if (depth === undefined || tail === undefined) throw invalid();
  return { depth: integer(depth), stream: integer(tail) };
}

function integer(text: string): number {
  if (!/^-?\d+$/.test(text)) throw invalid();
  return Number(text);
}

const invalid = () => new MatrixError(400, "M_UNKNOWN", "Invalid stream token");
