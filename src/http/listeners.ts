import { once } from "node:events";
import { chmod, lstat, unlink } from "node:fs/promises";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { INTERNAL_PATHS } from "./internal-app.ts";
import { pathOf } from "./request-facts.ts";

type Resource = "client" | "internal";

export type Listener =
  | {
      readonly kind: "tcp";
      /** 0: any free port. */
      readonly port: number;
      readonly bind: string;
      readonly resources: readonly Resource[];
    }
  | { readonly kind: "unix"; readonly path: string; readonly resources: readonly Resource[] };

/** Where one listener can be reached: `http://127.0.0.1:8008`, or the path of its socket. */
export interface ListeningAddress {
  readonly address: string;
  readonly resources: readonly Resource[];
}

export interface Listeners extends AsyncDisposable {
  /** In the order of the configuration. */
  readonly addresses: readonly ListeningAddress[];
}

interface ListenersOptions {
  /**
   * Aborted first when the listeners are disposed of, so that requests which wait for news are answered; the apps have
   * its signal.
   */
  readonly stopping: AbortController;
  /** {@link SHUTDOWN_GRACE_MS} */
  readonly graceMs?: number;
}

/** Longer than load balancers keep idle connections (75 s at most), lest one sends a request while this side closes. */
const KEEP_ALIVE_MS = 80_000;

/** Longer: a client can keep a half-sent request open for longer. Shorter: slow networks are cut off. */
const HEADERS_TIMEOUT_MS = 60_000;

/** Longer: a shutdown waits for uploads and downloads on their way. Shorter: they are cut. */
const SHUTDOWN_GRACE_MS = 10_000;

/** The owner and its group, in which the reverse proxy's user has to be. */
const SOCKET_MODE = 0o660;

/** Opens all listeners, or none. An address that cannot be had is an error that names the listener's key. */
export async function startListeners(
  listeners: readonly Listener[],
  apps: Readonly<Record<Resource, RequestListener>>,
  { stopping, graceMs = SHUTDOWN_GRACE_MS }: ListenersOptions,
): Promise<Listeners> {
  const opened: OpenServer[] = [];
  const close = async () => {
    for (const server of opened) server.refuseMore();
    stopping.abort();
    await Promise.all(opened.map((server) => server.close(graceMs)));
  };
  try {
    for (const [index, listener] of listeners.entries()) {
      opened.push(await openServer(listener, appFor(listener.resources, apps), `listeners[${index}]`));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses: opened.map(({ address }) => address), [Symbol.asyncDispose]: close };
}

function appFor(
  resources: readonly Resource[],
  { client, internal }: Readonly<Record<Resource, RequestListener>>,
): RequestListener {
  if (!resources.includes("internal")) return client;
  if (!resources.includes("client")) return internal;
  return (request, response) => (INTERNAL_PATHS.has(pathOf(request)) ? internal : client)(request, response);
}

interface OpenServer {
  readonly address: ListeningAddress;
  /** Takes no new connections, and ends each connection with the answer that is due on it. */
  refuseMore(): void;
  /** Waits for answers on their way, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

async function openServer(listener: Listener, app: RequestListener, key: string): Promise<OpenServer> {
  const limits = { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0 };
  const server = createServer(limits, app);
  const open = new Set<ServerResponse>();
  server.prependListener("request", (_request, response) => {
    open.add(response);
    response.shouldKeepAlive &&= server.listening;
    response.once("close", () => {
      open.delete(response);
      // An answer that had begun before the end was near leaves its connection open.
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
  });
  await listen(server, listener, key);
  const closed = new Promise((resolve) => server.once("close", resolve));
  return {
    address: { address: addressOf(server, listener), resources: listener.resources },
    refuseMore: () => {
      server.close();
      for (const response of open) response.shouldKeepAlive = false;
    },
    close: async (graceMs) => {
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}

async function listen(server: Server, listener: Listener, key: string): Promise<void> {
  if (listener.kind === "tcp") {
    const { port, bind } = listener;
    server.listen({ port, host: bind });
    await listening(server, listener, `${key}.port: ${port} on ${bind}`);
    return;
  }
  await removeStaleSocket(listener.path);
  server.listen({ path: listener.path });
  await listening(server, listener, `${key}.socket: ${listener.path}`);
  await chmod(listener.path, SOCKET_MODE);
}

async function listening(server: Server, listener: Listener, what: string): Promise<void> {
  try {
    await once(server, "listening");
  } catch (error) {
    throw new Error(`${what} ${reasonOf(error, listener)}`, { cause: error });
  }
}

function reasonOf(error: unknown, listener: Listener): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "EADDRINUSE":
      return "is already in use";
    case "EACCES":
      // Node has this code for a missing folder too.
      return listener.kind === "tcp"
        ? "may not be opened by this user"
        : "is in a folder that is not there or that this user may not write to";
    case "EADDRNOTAVAIL":
      return "is not an address of this machine";
    default:
      return `cannot be opened: ${message}`;
  }
}

/** A process that was killed leaves its socket behind; one that lives answers on it, and keeps it. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() !== true) return;
  const socket = connect({ path });
  try {
    await once(socket, "connect");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") await unlink(path);
  } finally {
    socket.destroy();
  }
}

function addressOf(server: Server, listener: Listener): string {
  if (listener.kind === "unix") return listener.path;
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : listener.port;
  return `http://${listener.bind.includes(":") ? `[${listener.bind}]` : listener.bind}:${port}`;
}
