import type { IncomingMessage } from "node:http";
import type { Effect } from "../faults.ts";
import type { JsonObject } from "../json.ts";
import type { Device } from "../user.ts";

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  /** In pieces, which are made while they are sent. */
  readonly body: Iterable<string>;
}

export function json(body: unknown, status = 200): Reply {
  return { status, contentType: "application/json", body: [JSON.stringify(body)] };
}

/** One request, as the routes see it. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Parts of the path that the route names, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  readonly headers: IncomingMessage["headers"];
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** Scripted faults that this request met. */
  readonly effects: readonly Effect[];
}

export interface AuthedCall extends Call {
  readonly device: Device;
  readonly token: string;
}
