import type { Agent, Dispatcher } from "undici";
import { JsonLimitError, JsonSyntaxError } from "../lib/json-errors.ts";
import type { PathPattern } from "../lib/json-patterns.ts";
import { JsonSplitter } from "../lib/json-splitter.ts";
import { parseJson } from "../lib/json-value.ts";
import { isRoomId, type RoomId, type UserId } from "../model/ids.ts";
import type { Forwarded } from "../model/upstream.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import type { BaseUrl } from "./base-url.ts";
import { callHeaders } from "./call-headers.ts";
import { statusError, toUpstreamError } from "./fault.ts";
import { readBounded } from "./read-bounded.ts";

/** For whom a call is made. */
export interface ReadCall {
  readonly token: string;
  readonly forwarded: Forwarded;
  readonly signal: AbortSignal;
}

/** A page of a room's timeline, newest event first. */
export interface MessagesPage {
  /** Raw JSON objects. */
  readonly events: readonly Buffer[];
  /** Where what is older begins; undefined: there is nothing older. */
  readonly end: string | undefined;
}

/** Reads of single rooms, and of what a user has (Client-Server API). All throw `UpstreamError`, or the reason of the signal. */
export interface RoomReads {
  /** `GET /joined_rooms` */
  joinedRooms(call: ReadCall): Promise<readonly RoomId[]>;
  /** `GET /rooms/{roomId}/messages?dir=b`, from the room's end. */
  newestMessages(call: ReadCall, roomId: RoomId, limit: number): Promise<MessagesPage>;
  /** `GET /rooms/{roomId}/state`: hands out raw events as they arrive, so that members need not be kept. */
  currentState(call: ReadCall, roomId: RoomId, onEvent: (raw: Buffer) => void): Promise<void>;
  /** `GET /user/{userId}/account_data/{type}`: the raw content. */
  accountData(call: ReadCall, userId: UserId, type: string): Promise<Buffer>;
}

/**
 * Bytes of one answer. Larger: a hostile or broken homeserver keeps us reading. Smaller: the state of the largest rooms, of
 * some hundred thousand members, is refused.
 */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
const MAX_ACCOUNT_DATA_BYTES = 4 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;

const ROOMS: readonly PathPattern[] = [["joined_rooms", "*"]];
const PAGE: readonly PathPattern[] = [["chunk", "*"], ["end"]];
const LIST: readonly PathPattern[] = [["*"]];

export function roomReads(agent: Agent, base: BaseUrl, timeoutMs: number): RoomReads {
  const get = (call: ReadCall, path: string) => request(agent, base, { ...call, path, timeoutMs });
  return {
    async joinedRooms(call) {
      const path = "/joined_rooms";
      const rooms: RoomId[] = [];
      await split(call, await get(call, path), path, ROOMS, (_pattern, raw) => {
        const roomId = parseJson(raw);
        if (isRoomId(roomId)) rooms.push(roomId as RoomId);
      });
      return rooms;
    },
    async newestMessages(call, roomId, limit) {
      const path = `/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=${limit}`;
      const events: Buffer[] = [];
      let end: unknown;
      await split(call, await get(call, path), "/messages", PAGE, (pattern, raw) => {
        if (pattern === 0) events.push(raw);
        else end = parseJson(raw);
      });
      return { events, end: typeof end === "string" ? end : undefined };
    },
    async currentState(call, roomId, onEvent) {
      const path = `/rooms/${encodeURIComponent(roomId)}/state`;
      await split(call, await get(call, path), "/state", LIST, (_pattern, raw) => onEvent(raw));
    },
    async accountData(call, userId, type) {
      const path = `/user/${encodeURIComponent(userId)}/account_data/${encodeURIComponent(type)}`;
      const body = await readBounded((await get(call, path)).body, MAX_ACCOUNT_DATA_BYTES);
      if (body === undefined) throw new UpstreamError(`GET ${path}: the answer is too large`, { kind: "malformed" });
      return body;
    },
  };
}

interface Get extends ReadCall {
  readonly path: string;
  readonly timeoutMs: number;
}

async function request(agent: Agent, { origin, prefix }: BaseUrl, get: Get): Promise<Dispatcher.ResponseData> {
  const { token, forwarded, path, timeoutMs } = get;
  const what = `GET ${path.split("?")[0]}`;
  const signal = AbortSignal.any([get.signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const answer = await agent.request({
      origin,
      path: `${prefix}/_matrix/client/v3${path}`,
      method: "GET",
      headers: callHeaders(`Bearer ${token}`, forwarded),
      signal,
    });
    const { statusCode: status, headers, body } = answer;
    if (status === 200) return answer;
    throw statusError(what, { status, headers, body: await readBounded(body, MAX_ERROR_BYTES) });
  } catch (error) {
    throw toUpstreamError(error, what, get.signal);
  }
}

async function split(
  { signal }: ReadCall,
  { body }: Dispatcher.ResponseData,
  what: string,
  patterns: readonly PathPattern[],
  onValue: (pattern: number, raw: Buffer) => void,
): Promise<void> {
  const splitter = new JsonSplitter({ patterns, onValue: (pattern, _path, raw) => onValue(pattern, raw) });
  let bytes = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > MAX_ANSWER_BYTES) throw new UpstreamError(`GET ${what}: too large`, { kind: "malformed" });
      splitter.write(piece);
    }
    splitter.end();
  } catch (error) {
    const isMalformed = error instanceof JsonSyntaxError || error instanceof JsonLimitError;
    if (isMalformed) throw new UpstreamError(`GET ${what}: not JSON`, { kind: "malformed" }, { cause: error });
    throw toUpstreamError(error, `GET ${what}`, signal);
  }
}
