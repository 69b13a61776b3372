import type { Agent } from "undici";
import { membersOf } from "../lib/json-members.ts";
import { isJsonObject, parseJson } from "../lib/json-value.ts";
import { isRoomId, type RoomId, type UserId } from "../model/ids.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import type { BaseUrl } from "./base-url.ts";
import { toUpstreamError } from "./fault.ts";
import { getAsUser, type ReadCall } from "./get-as-user.ts";
import { readBounded } from "./read-bounded.ts";
import type { RoomReads } from "./room-reads.ts";

/** What the homeserver says of one key. */
export type ValueAnswer =
  /** Raw JSON object; nothing in it was looked at. */
  | { readonly kind: "found"; readonly raw: Buffer }
  /** There is no value (404 with `M_NOT_FOUND`). */
  | { readonly kind: "absent" }
  /** The user may not read it, or the request can never be answered (any other status from 400 to 499). */
  | { readonly kind: "refused"; readonly status: number; readonly errcode: string | undefined };

/** Reads of single values, as a user. All throw `UpstreamError` (401, 429, 5xx, no JSON object), or the reason of the signal. */
export interface ValueReads {
  /**
   * The event that is current for a state key: `GET /rooms/{roomId}/state/{type}/{key}?format=event`, and where the
   * homeserver does not know the format, the event out of `GET /rooms/{roomId}/state`.
   */
  stateEvent(call: ReadCall, roomId: RoomId, type: string, stateKey: string): Promise<ValueAnswer>;
  /** The content of account data, of a room's with `roomId`. Tags and push rules are read where homeservers keep them. */
  accountData(call: ReadCall, userId: UserId, roomId: RoomId | undefined, type: string): Promise<ValueAnswer>;
  /** `GET /joined_rooms`, whole: an answer that is none is a fault, and never says that there are no rooms. */
  joinedRooms(call: ReadCall): Promise<ReadonlySet<RoomId>>;
}

/** Bytes of one answer: an event has 64 KiB, account data may have more. Larger: broken answers fill memory. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

const PUSH_RULES = "m.push_rules";
const TAGS = "m.tag";

export function valueReads(
  agent: Agent,
  base: BaseUrl,
  timeoutMs: number,
  { currentState }: Pick<RoomReads, "currentState">,
): ValueReads {
  const get = (call: ReadCall, path: string) => readValue(agent, base, { ...call, path, timeoutMs });
  // undefined: not known yet.
  let knowsFormat: boolean | undefined;

  /**
   * An answer without the format is content, which whoever may send state has written, and which may look like an event of
   * anybody. Content cannot hold itself: where the content asked for alone is the `content` of the answer, it is an event.
   */
  const learnFormat = async (call: ReadCall, path: string, event: Buffer) => {
    const content = await get(call, path);
    if (content.kind !== "found") return;
    const inside = membersOf(event).findLast(({ key }) => key === "content");
    if (inside !== undefined && event.subarray(inside.valueStart, inside.valueEnd).equals(content.raw)) {
      knowsFormat = true;
    } else if (event.equals(content.raw)) knowsFormat = false;
  };

  const fromWholeState = async (call: ReadCall, roomId: RoomId, type: string, stateKey: string) => {
    let raw: Buffer | undefined;
    try {
      await currentState(call, roomId, (each) => {
        const event = parseJson(each);
        if (isJsonObject(event) && event.type === type && event.state_key === stateKey) raw = each;
      });
    } catch (error) {
      return finalAnswer(error);
    }
    return raw === undefined ? ABSENT : ({ kind: "found", raw } as const);
  };

  return {
    async stateEvent(call, roomId, type, stateKey) {
      const path = `/rooms/${encodeURIComponent(roomId)}/state/${encodeURIComponent(type)}/${encodeURIComponent(stateKey)}`;
      if (knowsFormat !== false && !isDots(type) && !isDots(stateKey)) {
        const answer = await get(call, `${path}?format=event`);
        if (answer.kind !== "found") return answer;
        if (knowsFormat === undefined) await learnFormat(call, path, answer.raw);
        if (knowsFormat === true) return answer;
      }
      return await fromWholeState(call, roomId, type, stateKey);
    },
    async accountData(call, userId, roomId, type) {
      if (type === PUSH_RULES && roomId === undefined) return await get(call, "/pushrules/");
      if (isDots(type)) return { kind: "refused", status: 400, errcode: undefined };
      const room = roomId === undefined ? "" : `/rooms/${encodeURIComponent(roomId)}`;
      const what = type === TAGS && room !== "" ? "tags" : `account_data/${encodeURIComponent(type)}`;
      return await get(call, `/user/${encodeURIComponent(userId)}${room}/${what}`);
    },
    async joinedRooms(call) {
      const answer = await get(call, "/joined_rooms");
      const body = answer.kind === "found" ? parseJson(answer.raw) : undefined;
      const rooms = isJsonObject(body) ? body.joined_rooms : undefined;
      if (Array.isArray(rooms) && rooms.every(isRoomId)) return new Set(rooms);
      throw new UpstreamError("GET /joined_rooms: no list of rooms", { kind: "malformed" });
    },
  };
}

const ABSENT = { kind: "absent" } as const;

/** A part of a path that proxies take for a way up, so that another resource would be asked for. */
const isDots = (part: string): boolean => part === "." || part === "..";

interface ValueCall extends ReadCall {
  /** After `/_matrix/client/v3`. */
  readonly path: string;
  readonly timeoutMs: number;
}

async function readValue(agent: Agent, base: BaseUrl, call: ValueCall): Promise<ValueAnswer> {
  const what = `GET ${call.path}`;
  try {
    const { body } = await getAsUser(agent, base, call);
    // As any decoder reads it, so that what is stored of it can be put into an answer.
    const text = (await readBounded(body, MAX_ANSWER_BYTES))?.toString("utf8").trim();
    const raw = text === undefined ? undefined : Buffer.from(text);
    if (raw === undefined || !isJsonObject(parseJson(raw))) {
      throw new UpstreamError(`${what}: no JSON object`, { kind: "malformed" });
    }
    return { kind: "found", raw };
  } catch (error) {
    return finalAnswer(toUpstreamError(error, what, call.signal));
  }
}

/** An error that will come again whenever it is asked is an answer. Any other is thrown. */
export function finalAnswer(error: unknown): ValueAnswer {
  const fault = error instanceof UpstreamError ? error.fault : undefined;
  if (fault?.kind !== "status" || !isFinalStatus(fault.status)) throw error;
  const { status, errcode } = fault;
  return status === 404 && errcode === "M_NOT_FOUND" ? ABSENT : { kind: "refused", status, errcode };
}

/** Of a request that can never be answered. What is not, is said by a homeserver or proxy that is busy or away. */
export const isFinalStatus = (status: number): boolean =>
  status >= 400 && status < 500 && status !== 401 && status !== 408 && status !== 429;
