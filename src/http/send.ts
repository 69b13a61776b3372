import type { ServerResponse } from "node:http";

/** Writes a whole JSON answer from its pieces. Headers that were set before stay. */
export function sendJson(
  response: ServerResponse,
  status: number,
  pieces: readonly (string | Buffer)[],
  headers: Readonly<Record<string, string>> = {},
): void {
  const length = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": String(length),
    "Cache-Control": "no-store",
    ...headers,
  });
  // One system call for all pieces.
  response.cork();
  for (const piece of pieces) response.write(piece);
  response.end();
}
