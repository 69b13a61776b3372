import type { Agent, Dispatcher } from "undici";
import { JsonLimitError, JsonSyntaxError } from "../lib/json-errors.ts";
import { compilePatterns, type PatternNode } from "../lib/json-patterns.ts";
import { JsonSplitter } from "../lib/json-splitter.ts";
import { parseJson } from "../lib/json-value.ts";
import type { RoomId } from "../model/ids.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import type { BaseUrl } from "./base-url.ts";
import { toUpstreamError } from "./fault.ts";
import { getAsUser, type ReadCall } from "./get-as-user.ts";

/** A page of a room's timeline, newest event first. */
export interface MessagesPage {
  /** Raw JSON objects. */
  readonly events: readonly Buffer[];
  /** Stands at the newest event, or after it; undefined: not told. */
  readonly start?: string | undefined;
  /** Where what is older begins; undefined: there is nothing older. */
  readonly end: string | undefined;
}

/** Reads of single rooms (Client-Server API). All throw `UpstreamError`, or the reason of the signal. */
export interface RoomReads {
  /** `GET /rooms/{roomId}/messages?dir=b`, from the room's end. */
  newestMessages(call: ReadCall, roomId: RoomId, limit: number): Promise<MessagesPage>;
  /** `GET /rooms/{roomId}/messages?dir=b`, from a token that any response gave. */
  messagesBefore(call: ReadCall, roomId: RoomId, page: { from: string; limit: number }): Promise<MessagesPage>;
  /** `GET /rooms/{roomId}/state`: hands out raw events as they arrive, so that members need not be kept. */
  currentState(call: ReadCall, roomId: RoomId, onEvent: (raw: Buffer) => void): Promise<void>;
  /**
   * `GET /rooms/{roomId}/members`, those who left among them: hands out raw member events some at a time, and reads on when
   * they were taken in. The first ones are handed out after the answer has begun.
   */
  members(
    call: ReadCall,
    roomId: RoomId,
    count: number,
    take: (raws: readonly Buffer[]) => Promise<void>,
  ): Promise<void>;
}

/**
 * Bytes of one answer. Larger: a hostile or broken homeserver keeps us reading. Smaller: the state of the largest rooms, of
 * some hundred thousand members, is refused.
 */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

const PAGE = compilePatterns([["chunk", "*"], ["start"], ["end"]]);
const LIST = compilePatterns([["*"]]);
const CHUNK = compilePatterns([["chunk", "*"]]);

export function roomReads(agent: Agent, base: BaseUrl, timeoutMs: number): RoomReads {
  const get = (call: ReadCall, path: string) => getAsUser(agent, base, { ...call, path, timeoutMs });
  const messages = async (call: ReadCall, roomId: RoomId, query: string): Promise<MessagesPage> => {
    const path = `/rooms/${encodeURIComponent(roomId)}/messages?dir=b&${query}`;
    const events: Buffer[] = [];
    let start: unknown;
    let end: unknown;
    await split(call, await get(call, path), "/messages", PAGE, (pattern, raw) => {
      if (pattern === 0) events.push(raw);
      else if (pattern === 1) start = parseJson(raw);
      else end = parseJson(raw);
    });
    return { events, start: tokenOrNone(start), end: tokenOrNone(end) };
  };
  return {
    newestMessages: (call, roomId, limit) => messages(call, roomId, `limit=${limit}`),
    messagesBefore: (call, roomId, { from, limit }) =>
      messages(call, roomId, `from=${encodeURIComponent(from)}&limit=${limit}`),
    async currentState(call, roomId, onEvent) {
      const path = `/rooms/${encodeURIComponent(roomId)}/state`;
      await split(call, await get(call, path), "/state", LIST, (_pattern, raw) => onEvent(raw));
    },
    async members(call, roomId, count, take) {
      const path = `/rooms/${encodeURIComponent(roomId)}/members`;
      let raws: Buffer[] = [];
      const hand = async (least: number) => {
        if (raws.length < least) return;
        const full = raws;
        raws = [];
        await take(full);
      };
      const onEvent = (_pattern: number, raw: Buffer) => void raws.push(raw);
      await split(call, await get(call, path), "/members", CHUNK, onEvent, () => hand(count));
      await hand(1);
    },
  };
}

const tokenOrNone = (token: unknown): string | undefined => (typeof token === "string" ? token : undefined);

async function split(
  { signal }: ReadCall,
  { body }: Dispatcher.ResponseData,
  what: string,
  patterns: PatternNode,
  onValue: (pattern: number, raw: Buffer) => void,
  afterPiece: () => Promise<void> = async () => undefined,
): Promise<void> {
  const splitter = new JsonSplitter({ patterns, onValue: (pattern, _path, raw) => onValue(pattern, raw) });
  let bytes = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > MAX_ANSWER_BYTES) throw new UpstreamError(`GET ${what}: too large`, { kind: "malformed" });
      splitter.write(piece);
      await afterPiece();
    }
    splitter.end();
  } catch (error) {
    const isMalformed = error instanceof JsonSyntaxError || error instanceof JsonLimitError;
    if (isMalformed) throw new UpstreamError(`GET ${what}: not JSON`, { kind: "malformed" }, { cause: error });
    throw toUpstreamError(error, `GET ${what}`, signal);
  }
}
