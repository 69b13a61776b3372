import { Agent } from "undici";
import { isJsonObject, parseJson } from "../lib/json-value.ts";
import type { ClientUpstream, VersionsAnswer, Whoami } from "../model/client-upstream.ts";
import type { DeviceId } from "../model/ids.ts";
import { isUserId } from "../model/ids.ts";
import type { Forwarded } from "../model/upstream.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import { type BaseUrl, parseBaseUrl } from "./base-url.ts";
import { callHeaders } from "./call-headers.ts";
import { errcodeOf, statusError, toUpstreamError } from "./fault.ts";
import { passRequest } from "./pass.ts";
import { readBounded } from "./read-bounded.ts";
import { type RoomReads, roomReads } from "./room-reads.ts";
import { type PollLimits, type PollOptions, pollSyncV2 } from "./sync-v2.ts";
import { type ValueReads, valueReads } from "./value-reads.ts";

export interface HomeserverOptions {
  /** Base URL of the client API. */
  readonly url: string;
  /** Time limits; {@link DEFAULT_LIMITS} where none is given. */
  readonly limits?: Partial<HomeserverLimits>;
}

interface HomeserverLimits extends PollLimits {
  /** For a short call as a whole, its wait for a free connection included, in milliseconds. */
  readonly shortCallMs: number;
  /** For reading what a room holds, in milliseconds. */
  readonly roomReadMs: number;
}

/** The homeserver's Client-Server API, as far as Slidecar uses it. Disposing of it cuts all calls. */
export interface Homeserver extends ClientUpstream, AsyncDisposable {
  readonly rooms: RoomReads;
  readonly values: ValueReads;
  /** See `pollSyncV2`. */
  syncV2(poll: PollOptions): Promise<AsyncIterable<Buffer>>;
}

const DEFAULT_LIMITS: HomeserverLimits = {
  // Longer: requests pile up behind a homeserver that hangs. Shorter: a busy one counts as gone.
  shortCallMs: 30_000,
  // Longer: one slow room holds up the others. Shorter: the state of large rooms never comes.
  roomReadMs: 60_000,
  // Longer: a dead connection is noticed later. Shorter: a busy homeserver's polls are cut and repeated.
  beyondTimeoutMs: 30_000,
  // Large accounts take minutes. Longer: a hung poll is noticed later. Shorter: they never get through.
  initialMs: 30 * 60_000,
  // Longer: a dead connection is noticed later. Shorter: a pause in a large body, also one of ours, cuts it.
  idleMs: 5 * 60_000,
  // Longer: one that drips on for ever holds up its device longer. Shorter: a large first sync never gets through a thin line.
  bodyMs: 60 * 60_000,
};

/** Connections for short calls. More: a burst of them strains the homeserver. Fewer: they wait for each other. */
const SHORT_CALL_CONNECTIONS = 32;

/** Longer: an address that drops packets blocks its callers. Shorter: a far homeserver cannot be reached. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Bytes of a short call's answer. Larger: a wrong address can fill memory. Smaller: real answers are refused. */
const MAX_SHORT_ANSWER_BYTES = 1024 * 1024;

export function createHomeserver({ url, limits: given }: HomeserverOptions): Homeserver {
  const base = parseBaseUrl(url);
  const limits = { ...DEFAULT_LIMITS, ...given };
  // HTTP/2 would put many polls on one connection, whose loss or flow control hits them all.
  const shared = { connect: { timeout: CONNECT_TIMEOUT_MS }, allowH2: false };
  const short = new Agent({ ...shared, connections: SHORT_CALL_CONNECTIONS });
  // A short call must never wait behind a long poll, nor one poll behind another: each has a connection of its own.
  const long = new Agent({ ...shared, headersTimeout: 0, bodyTimeout: 0 });
  const get = (path: string, authorization: string | undefined, forwarded: Forwarded) =>
    getShort(short, base, { path, authorization, forwarded, timeoutMs: limits.shortCallMs });
  const rooms = roomReads(short, base, limits.roomReadMs);
  return {
    whoami: async (token, forwarded) => whoamiOf(await get(WHOAMI_PATH, `Bearer ${token}`, forwarded)),
    versions: (authorization, forwarded) => get(VERSIONS_PATH, authorization, forwarded),
    rooms,
    values: valueReads(short, base, limits.shortCallMs, rooms),
    syncV2: (poll) => pollSyncV2(long, base, poll, limits),
    pass: (request) => passRequest(long, base, request),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([short.destroy(), long.destroy()]);
    },
  };
}

const WHOAMI_PATH = "/_matrix/client/v3/account/whoami";
const VERSIONS_PATH = "/_matrix/client/versions";

interface ShortCall {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly forwarded: Forwarded;
  readonly timeoutMs: number;
}

async function getShort(agent: Agent, { origin, prefix }: BaseUrl, call: ShortCall): Promise<VersionsAnswer> {
  const what = `GET ${call.path}`;
  try {
    const answer = await agent.request({
      origin,
      path: `${prefix}${call.path}`,
      method: "GET",
      headers: callHeaders(call.authorization, call.forwarded),
      signal: AbortSignal.timeout(call.timeoutMs),
    });
    const body = await readBounded(answer.body, MAX_SHORT_ANSWER_BYTES);
    if (body === undefined) throw new UpstreamError(`${what}: the answer is too large`, { kind: "malformed" });
    return { status: answer.statusCode, headers: answer.headers, body, json: parseJson(body) };
  } catch (error) {
    throw toUpstreamError(error, what);
  }
}

/** Anything but a clear yes or no is a failure: it says nothing about the token. */
function whoamiOf(answer: VersionsAnswer): Whoami {
  const { status, body, json } = answer;
  const errcode = errcodeOf(json);
  if ((status === 401 || status === 403) && errcode !== undefined) return { kind: "refused", status, errcode, body };
  if (status !== 200) throw statusError("GET whoami", answer);
  const { user_id: userId, device_id: deviceId = "", is_guest: isGuest } = isJsonObject(json) ? json : {};
  if (!isUserId(userId) || typeof deviceId !== "string") {
    throw new UpstreamError("GET whoami: no user id in the answer", { kind: "malformed" });
  }
  return { kind: "known", userId, deviceId: deviceId as DeviceId, isGuest: isGuest === true };
}
