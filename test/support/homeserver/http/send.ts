import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Effect } from "../faults.ts";
import type { Reply } from "./reply.ts";

/** Pieces are gathered to this size, so that a large body goes out in few writes and never as one string. */
const CHUNK_BYTES = 64 * 1024;

export interface SendOptions {
  readonly effects: readonly Effect[];
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Writes a reply, or as much of it as the faults let through. */
export async function send(response: ServerResponse, reply: Reply, options: SendOptions): Promise<void> {
  const { effects, signal } = options;
  const resetAfter = effects.find((effect) => effect.resetAfterBytes !== undefined)?.resetAfterBytes;
  const cutAfter = effects.find((effect) => effect.cutAfterBytes !== undefined)?.cutAfterBytes;
  const trickle = effects.find((effect) => effect.trickle !== undefined)?.trickle;
  const limit = Math.min(resetAfter ?? Number.POSITIVE_INFINITY, cutAfter ?? Number.POSITIVE_INFINITY);
  response.writeHead(reply.status, { ...options.headers, "content-type": reply.contentType });
  let sent = 0;
  for (const chunk of chunksOf(reply.body, trickle?.bytes ?? CHUNK_BYTES)) {
    const part = chunk.subarray(0, limit - sent);
    sent += part.length;
    if (!response.write(part)) await drained(response, signal);
    if (signal.aborted || sent >= limit) break;
    if (trickle !== undefined) await sleep(trickle.everyMs, undefined, { signal }).catch(() => undefined);
  }
  if (sent >= limit && resetAfter === limit) {
    // What was written must be on its way before the reset overtakes it.
    await flushed(response);
    response.socket?.resetAndDestroy();
  } else {
    response.end();
  }
}

function* chunksOf(body: Iterable<string>, size: number): Generator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  for (const piece of body) {
    waiting.push(Buffer.from(piece));
    length += waiting.at(-1)?.length ?? 0;
    if (length < size) continue;
    const whole = Buffer.concat(waiting);
    let start = 0;
    for (; whole.length - start >= size; start += size) yield whole.subarray(start, start + size);
    waiting = start < whole.length ? [whole.subarray(start)] : [];
    length = whole.length - start;
  }
  if (length > 0) yield Buffer.concat(waiting);
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  await once(response, "drain", { signal }).catch(() => undefined);
}

function flushed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed) resolve();
    else response.write("", () => setImmediate(resolve));
  });
}
