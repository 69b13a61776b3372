// Where clients live in a test: accounts on a homeserver, and the URL that the clients know.
import { register, type Session } from "../../support/room-life/api.ts";
import { type ClientOptions, type Robot, startClient } from "./client.ts";
import { type Slidecar, startSlidecar } from "./slidecar.ts";
import { startSynapse } from "./synapse.ts";

const PASSWORD = "correct horse";

export type Stage = AsyncDisposable & {
  /** A new account; the session speaks to the homeserver and does not sync. */
  register(user: string): Promise<Session>;
  /** A client of a registered user on a device of its own, which knows the server under test alone. */
  client(
    user: string,
    options?: Omit<ClientOptions, "baseUrl" | "user" | "password">,
  ): Promise<Robot & AsyncDisposable>;
  readonly homeserverUrl: string;
  /** The server under test. */
  readonly url: string;
  /** What the servers have logged last. */
  logTail(): string;
};

/** The homeserver's own sliding sync, which shows that a test asks for nothing that a correct server does not do. */
export async function startNativeStage(): Promise<Stage> {
  await using servers = new AsyncDisposableStack();
  const synapse = servers.use(await startSynapse({ native: true }));
  return stageOf(synapse.url, synapse.url, [synapse], servers.move());
}

/** Slidecar before a homeserver without sliding sync. */
export async function startSlidecarStage(): Promise<Stage & { readonly slidecar: Slidecar }> {
  await using servers = new AsyncDisposableStack();
  const synapse = servers.use(await startSynapse({ native: false }));
  const slidecar = servers.use(await startSlidecar({ homeserverUrl: synapse.url }));
  return { ...stageOf(synapse.url, slidecar.url, [synapse, slidecar], servers.move()), slidecar };
}

function stageOf(
  homeserverUrl: string,
  url: string,
  servers: readonly { logTail(): string }[],
  running: AsyncDisposable,
): Stage {
  return {
    register: (user) => register(homeserverUrl, user, PASSWORD),
    client: (user, options = {}) => startClient({ baseUrl: url, user, password: PASSWORD, ...options }),
    homeserverUrl,
    url,
    logTail: () => servers.map((server) => server.logTail()).join("\n"),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
