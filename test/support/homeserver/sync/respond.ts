import { clampToken, type StreamToken, sameToken } from "../tokens.ts";
import { computeSync, type SyncParts } from "./compute.ts";
import { hasNews, type SyncAnswer, type SyncRequest } from "./model.ts";
import { acknowledge } from "./to-device.ts";

/** Answers `/sync`: waits for news, and gives the same answer to the same question for a while. */
export interface SyncResponder {
  respond(request: SyncRequest): Promise<SyncAnswer>;
  forgetCached(): void;
}

interface CacheEntry {
  readonly answer: Promise<SyncAnswer>;
  /** Set once it is computed; until then every equal request joins it. */
  expiresMs: number | undefined;
}

export function createSyncResponder(parts: SyncParts, stop: AbortSignal): SyncResponder {
  const { world } = parts;
  const cache = new Map<string, CacheEntry>();
  const keep = (key: string, entry: CacheEntry, answer: SyncAnswer, since: StreamToken | undefined) => {
    const isEmpty = since !== undefined && sameToken(answer.nextBatch, since);
    // An empty answer that was kept would come back at once, for ever.
    const isKept = world.settings.responseCache && !isEmpty;
    entry.expiresMs = world.clock.nowMs() + (isKept ? world.profile.responseCacheMs : 0);
    if (!isKept) cache.delete(key);
  };
  return {
    forgetCached: () => cache.clear(),
    respond: (request) => {
      const nowMs = world.clock.nowMs();
      for (const [key, { expiresMs }] of cache) if (expiresMs !== undefined && expiresMs <= nowMs) cache.delete(key);
      const known = cache.get(request.cacheKey);
      if (known !== undefined) return known.answer;
      const answer = compute(parts, request, stop);
      const entry: CacheEntry = { answer, expiresMs: undefined };
      cache.set(request.cacheKey, entry);
      answer.then(
        (done) => keep(request.cacheKey, entry, done, request.since),
        () => cache.delete(request.cacheKey),
      );
      return answer;
    },
  };
}

/** Goes on when its client has gone: a retry joins it or finds its answer. */
async function compute(parts: SyncParts, asked: SyncRequest, stop: AbortSignal): Promise<SyncAnswer> {
  const { world } = parts;
  if (asked.since === undefined) {
    await pause(world.settings.initialDelayMs, stop);
    return computeSync(parts, asked);
  }
  const since = clampToken(asked.since, world.now());
  const request = { ...asked, since };
  acknowledge(request.device, since);
  if (request.timeoutMs === 0 || request.fullState) return computeSync(parts, request);
  return waitForNews(parts, request, since, stop);
}

async function waitForNews(
  parts: SyncParts,
  request: SyncRequest,
  since: StreamToken,
  stop: AbortSignal,
): Promise<SyncAnswer> {
  const { world } = parts;
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const end = AbortSignal.any([timeout, stop]);
  let answer: SyncAnswer | undefined;
  for (;;) {
    const woken = world.wakeUp.next(request.device.user.userId, end);
    if (!sameToken(world.now(), answer?.nextBatch ?? since)) answer = computeSync(parts, request);
    if (answer !== undefined && hasNews(answer)) return answer;
    if (end.aborted) return answer ?? computeSync(parts, request);
    await woken;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
