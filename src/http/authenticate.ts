import { LRUCache } from "lru-cache";
import type { Whoami } from "../model/client-upstream.ts";
import type { DeviceId, UserId } from "../model/ids.ts";
import type { Forwarded } from "../model/upstream.ts";
import type { HttpDeps } from "./ports.ts";
import { TokenRefusedError } from "./token-refused-error.ts";

/** Longer: a device that was logged out elsewhere is served for longer. Shorter: more look-ups at the homeserver. */
const KNOWN_MS = 60_000;

/** Longer: a token that becomes valid again is refused for longer. Shorter: a client that loops loads the homeserver. */
const REFUSED_MS = 5_000;

/** Tokens remembered. More: memory, about 1 KB each. Fewer: more look-ups at the homeserver. */
const MAX_TOKENS = 10_000;

export interface AuthenticateDeps extends Pick<HttpDeps, "upstream" | "clock" | "metrics"> {
  /** A keyed hash: memory holds no tokens longer than their requests. */
  readonly hashToken: (token: string) => Buffer;
}

/** Whom a token stands for. */
interface Identity {
  readonly userId: UserId;
  /** `""`: the token has no device. */
  readonly deviceId: DeviceId;
}

export interface Authenticated extends Identity {
  readonly tokenHash: Buffer;
  /** The homeserver was asked now. */
  readonly isFresh: boolean;
}

/**
 * Throws `TokenRefusedError`, or `UpstreamError` when the homeserver cannot tell. `afresh`: what it said before does not count.
 */
export type Authenticate = (
  token: string,
  forwarded: Forwarded,
  how?: { readonly afresh: boolean },
) => Promise<Authenticated>;

/** Asks the homeserver whom tokens stand for, and remembers it for a while. Requests with the same token share one call. */
export function createAuthenticate({ upstream, clock, metrics, hashToken }: AuthenticateDeps): Authenticate {
  const told = new LRUCache<string, Whoami>({
    max: MAX_TOKENS,
    ttl: KNOWN_MS,
    ttlResolution: 0,
    perf: { now: () => clock.nowMs() },
  });
  const asked = new Map<string, Promise<Whoami>>();

  async function ask(key: string, token: string, forwarded: Forwarded): Promise<Whoami> {
    try {
      const whoami = await upstream.whoami(token, forwarded);
      told.set(key, whoami, { ttl: whoami.kind === "known" ? KNOWN_MS : REFUSED_MS });
      metrics.whoami.inc({ outcome: whoami.kind === "known" ? "valid" : "invalid" });
      return whoami;
    } catch (error) {
      metrics.whoami.inc({ outcome: "failed" });
      throw error;
    }
  }

  function lookUp(key: string, token: string, forwarded: Forwarded): Whoami | Promise<Whoami> {
    const known = told.get(key);
    if (known !== undefined) {
      metrics.whoami.inc({ outcome: "cached" });
      return known;
    }
    const running = asked.get(key);
    if (running !== undefined) return running;
    const call = ask(key, token, forwarded).finally(() => asked.delete(key));
    asked.set(key, call);
    return call;
  }

  return async (token, forwarded, { afresh } = { afresh: false }) => {
    const tokenHash = hashToken(token);
    const key = tokenHash.toString("base64");
    if (afresh) told.delete(key);
    const isFresh = !told.has(key);
    const whoami = await lookUp(key, token, forwarded);
    if (whoami.kind === "refused") throw new TokenRefusedError(whoami);
    return { userId: whoami.userId, deviceId: whoami.deviceId, tokenHash, isFresh };
  };
}
