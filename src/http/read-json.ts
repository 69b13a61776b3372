import type { IncomingMessage } from "node:http";
import { ClientError } from "../model/client-error.ts";
import { RequestEndedError } from "../model/request-ended-error.ts";

/** Longer: a client can keep a half-sent request open for longer. Shorter: slow networks are cut off. */
const MAX_BODY_MS = 30_000;

/**
 * Bytes beyond the limit that are read and dropped, so that the client reads the answer and not a reset of its connection.
 * More: a client wastes more of the network. Fewer: it learns less often why.
 */
const MAX_DROPPED_BYTES = 16 * 1024 * 1024;

/**
 * Reads a request's body as JSON. Throws `ClientError`: M_TOO_LARGE, M_NOT_JSON, or M_BAD_JSON for JSON that is no object;
 * `RequestEndedError` when the client goes, or is cut off, before its body is complete.
 */
export async function readJsonObject(request: IncomingMessage, limitBytes: number): Promise<object> {
  const json = parse(await readBody(request, limitBytes));
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ClientError("M_BAD_JSON", "The body must be a JSON object");
  }
  return json;
}

function parse(body: Buffer): unknown {
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    return json;
  } catch {
    throw new ClientError("M_NOT_JSON", "The body must be JSON");
  }
}

function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const { socket } = request;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => socket.destroy(), MAX_BODY_MS);
    // Of the socket, since a request whose answer is out already is not told that its connection is gone.
    const onGone = () => {
      clearTimeout(timer);
      reject(new RequestEndedError("client"));
    };
    socket.once("close", onGone);
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= limitBytes) {
        chunks.push(chunk);
      } else {
        chunks.length = 0;
        reject(new ClientError("M_TOO_LARGE", `The body is larger than ${limitBytes} bytes`));
        if (bytes > limitBytes + MAX_DROPPED_BYTES) socket.destroy();
      }
    });
    request.once("end", () => {
      clearTimeout(timer);
      socket.off("close", onGone);
      resolve(Buffer.concat(chunks));
    });
    request.once("error", onGone);
  });
}
