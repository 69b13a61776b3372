import type { SyncRequest } from "../engine/request.ts";
import type { SyncResponse } from "../engine/response.ts";
import type { DialectName } from "../model/dialect-name.ts";
import type { UserId } from "../model/ids.ts";

/** One wire form of the service. A codec: it computes no room data. */
export interface Dialect {
  readonly name: DialectName;
  readonly path: string;
  /**
   * Wire to request. Throws `ClientError` that names the field. `reader` resolves what a dialect writes for "me".
   * `body` is the parsed JSON.
   */
  parse(query: URLSearchParams, body: unknown, reader: UserId): SyncRequest;
  /** Response to wire, as pieces to be written one after the other: stored event bodies are spliced in, never copied. */
  encode(response: SyncResponse, pos: string, request: SyncRequest): readonly Buffer[];
}
