import { Registry } from "prom-client";
import { createHomeserver, type Homeserver } from "../../src/homeserver/client.ts";
import { type ClientAppDeps, type ClientAppOptions, createClientApp } from "../../src/http/client-app.ts";
import { createInternalApp, type Readiness } from "../../src/http/internal-app.ts";
import { type Listener, type Listeners, startListeners } from "../../src/http/listeners.ts";
import type { SyncCall } from "../../src/http/ports.ts";
import { createLogger } from "../../src/logging/logger.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { ClientError } from "../../src/model/client-error.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import type { Dialect } from "../../src/protocol/dialect.ts";
import { json, startUpstream, type TestUpstream } from "./http-upstream.ts";

export const SYNC_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
export const WHOAMI_PATH = "/_matrix/client/v3/account/whoami";

type Answer = Awaited<ReturnType<ClientAppDeps["sync"]["answer"]>>;

export interface WorldOptions extends Partial<ClientAppOptions> {
  /** 127.0.0.1 with both resources unless given. */
  readonly listeners?: readonly Listener[];
  readonly answer?: (call: SyncCall) => Promise<Answer>;
  readonly isPolled?: ClientAppDeps["isPolled"];
  readonly forget?: ClientAppDeps["forgets"]["forget"];
  readonly readiness?: () => Readiness;
  readonly graceMs?: number;
  /** Stands before the paths of the homeserver's API. */
  readonly upstreamPrefix?: string;
}

/** The HTTP side as it runs, before an upstream and a sync service that the test writes. */
export interface World extends AsyncDisposable {
  readonly upstream: TestUpstream;
  readonly homeserver: Homeserver;
  readonly url: string;
  readonly listeners: Listeners;
  readonly calls: readonly SyncCall[];
  readonly logLines: readonly Record<string, unknown>[];
  readonly clock: { nowMs(): number; advance(ms: number): void };
  metric(name: string, labels: Record<string, string>): Promise<number>;
  sync(init?: RequestInit & { readonly query?: string }): Promise<Response>;
}

export const NOTHING_NEW = { response: { lists: new Map(), rooms: [] }, pos: "p1" } as unknown as Answer;

/** Up to where all is stored, for what asks. */
export const STORED = 1_700_000_000_000_000 as StreamPosition;

/** Echoes; a body with `reject` is refused with that error code. */
const dialect: Dialect = {
  name: "simplified-msc3575",
  path: SYNC_PATH,
  parse: (query, body, reader) => {
    const { reject } = body as { reject?: ClientError["errcode"] };
    if (reject !== undefined) throw new ClientError(reject, "rejected by the dialect");
    return { timeoutMs: Number(query.get("timeout")), body, reader } as never;
  },
  encode: (_response, pos) => [Buffer.from('{"pos":'), Buffer.from(JSON.stringify(pos)), Buffer.from("}")],
};

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream());
  upstream.on(`${options.upstreamPrefix ?? ""}${WHOAMI_PATH}`, (request, response) => {
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    const [localpart = "", deviceId = ""] = token.split("-");
    json(response, 200, { user_id: `@${localpart}:test`, device_id: deviceId, is_guest: false });
  });
  const homeserver = stack.use(createHomeserver({ url: `${upstream.url}${options.upstreamPrefix ?? ""}` }));
  const logLines: Record<string, unknown>[] = [];
  const log = createLogger({ level: "trace", format: "json" }, { write: (line) => logLines.push(JSON.parse(line)) });
  const registry = new Registry();
  const calls: SyncCall[] = [];
  const clock = testClock();
  const stopping = new AbortController();
  let nextId = 0;
  const shared = { clock, log, newRequestId: () => `id-${nextId++}` };
  const client = createClientApp(
    {
      ...shared,
      upstream: homeserver,
      metrics: createMetrics(registry),
      hashToken: (token) => Buffer.from(`hash of ${token}`),
      dialects: [dialect],
      sync: {
        answer: (call) => {
          calls.push(call);
          return (options.answer ?? (async () => NOTHING_NEW))(call);
        },
      },
      isPolled: options.isPolled ?? (() => false),
      forgets: { position: STORED, forget: options.forget ?? (async () => {}) },
      stopping: stopping.signal,
    },
    { passthrough: options.passthrough ?? true, bodyLimitBytes: options.bodyLimitBytes ?? 1024 * 1024 },
  );
  const internal = createInternalApp({
    ...shared,
    readiness: options.readiness ?? (() => ({ isReady: true, reasons: [] })),
    metricsText: () => registry.metrics(),
  });
  const listeners = stack.use(
    await startListeners(
      options.listeners ?? [{ kind: "tcp", port: 0, bind: "127.0.0.1", resources: ["client", "internal"] }],
      { client, internal },
      { stopping, ...(options.graceMs !== undefined && { graceMs: options.graceMs }) },
    ),
  );
  const url = listeners.addresses[0]?.address ?? "";
  const owned = stack.move();
  return {
    upstream,
    homeserver,
    url,
    listeners,
    calls,
    logLines,
    clock,
    metric: async (name, labels) => {
      const { values = [] } = (await registry.getSingleMetric(name)?.get()) ?? {};
      const isWanted = (found: object) => Object.entries(labels).every(([key, value]) => Object(found)[key] === value);
      return values.filter(({ labels: found }) => isWanted(found)).reduce((sum, { value }) => sum + value, 0);
    },
    sync: ({ query = "", ...init } = {}) =>
      fetch(`${url}${SYNC_PATH}${query}`, {
        method: "POST",
        body: "{}",
        headers: { authorization: "Bearer alice-PHONE" },
        ...init,
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function testClock() {
  let nowMs = 1_700_000_000_000;
  return {
    nowMs: () => nowMs,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
}

/** Waits until `condition` holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
