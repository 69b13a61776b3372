import type { Readable } from "node:stream";

/** Reads a body to its end; undefined, and the rest is not read, when it is larger than `limitBytes`. */
export async function readBounded(body: Readable, limitBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limitBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** Gives up a body of which nothing, or nothing more, will be read; the connection is cut. */
export function discard(body: Readable): void {
  // Being destroyed early is an error to the HTTP client, and one that nobody listens to would end the process.
  body.on("error", () => undefined).destroy();
}
