import { Agent, request as httpRequest } from "node:http";
import { request as httpsRequest, Agent as TlsAgent } from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import { ROOM_LIST_STATE } from "../support/element-x-state.ts";
import { nowUs } from "./clock.ts";

const SYNC_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

const TIMELINE_LIMIT = 20;

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
  /** From the request to the head of the answer. */
  readonly firstByteMs: number;
  /** When the head of the answer came, by {@link nowUs}. */
  readonly headUs: number;
  /** From the request to the last byte of the answer. */
  readonly totalMs: number;
}

export interface Call {
  readonly url: string;
  readonly token?: string;
  /** JSON to POST; undefined: GET. */
  readonly body?: string;
  readonly agent: Agent;
}

/** Connections that are kept; `maxSockets` 1: one request after the other. */
export const keptConnections = (isTls: boolean, maxSockets = Number.POSITIVE_INFINITY): Agent =>
  isTls ? new TlsAgent({ keepAlive: true, maxSockets }) : new Agent({ keepAlive: true, maxSockets });

export function call({ url, token, body, agent }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) }),
    };
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const startedMs = performance.now();
    const request = send(url, { method: body === undefined ? "GET" : "POST", headers, agent }, (response) => {
      const firstByteMs = performance.now() - startedMs;
      const headUs = nowUs();
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        const totalMs = performance.now() - startedMs;
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces), firstByteMs, headUs, totalMs });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** A sync request without its body. */
export interface SyncTo {
  readonly url: string;
  readonly token: string;
  readonly agent: Agent;
  readonly pos?: string;
  readonly timeoutMs?: number;
}

export interface SyncCall extends SyncTo {
  readonly connId: string;
  /** First and last index of the window. */
  readonly range: readonly [number, number];
}

/** One sync request with one list. Answers other than 200 are returned too. */
export const sync = (request: SyncCall): Promise<Answer> => syncWith(request, windowBody(request));

/** The same; waits as long as a server says that there were too many requests. */
export const patientSync = (request: SyncCall): Promise<Answer> => patientSyncWith(request, windowBody(request));

/** Asks for one list, and nothing besides. */
export const windowBody = ({ connId, range }: Pick<SyncCall, "connId" | "range">) => ({
  conn_id: connId,
  lists: { all_rooms: { ranges: [range], timeline_limit: TIMELINE_LIMIT, required_state: ROOM_LIST_STATE } },
});

async function syncWith({ url, token, agent, pos, timeoutMs = 0 }: SyncTo, body: object): Promise<Answer> {
  const query = new URLSearchParams({ timeout: String(timeoutMs), ...(pos !== undefined && { pos }) });
  return await call({ url: `${url}${SYNC_PATH}?${query}`, token, agent, body: JSON.stringify(body) });
}

/** As {@link patientSync}, with a body of the caller's. */
export async function patientSyncWith(to: SyncTo, body: object): Promise<Answer> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await syncWith(to, body);
    if (answer.status === 200) return answer;
    const text = answer.body.toString("utf8");
    if (answer.status !== 429 || attempt === 100) throw new Error(`sync was answered ${answer.status}: ${text}`);
    await pause(Number((JSON.parse(text) as { retry_after_ms?: number }).retry_after_ms ?? 100));
  }
}

/** What a client reads of an answer to go on. */
export const parseSync = ({ body }: Answer): SyncBody => JSON.parse(body.toString("utf8")) as SyncBody;

export interface SyncBody {
  readonly pos: string;
  readonly lists?: Readonly<Record<string, { readonly count: number }>>;
  readonly rooms?: Readonly<Record<string, { readonly timeline?: readonly unknown[] }>>;
  readonly extensions?: {
    readonly to_device?: { readonly next_batch: string; readonly events?: readonly unknown[] };
  };
}
