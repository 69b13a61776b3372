import type { Readable } from "node:stream";

/** A body as JSON; undefined when it is not. */
export function parseJson(body: Buffer): unknown {
  try {
    const json: unknown = JSON.parse(body.toString("utf8"));
    return json;
  } catch {
    return undefined;
  }
}

export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

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
