/** The configuration as the parts of the service receive it: defaults filled in, secrets read, units in the names. */
export interface Config {
  readonly homeserver: HomeserverConfig;
  readonly database: DatabaseConfig;
  /**
   * Encrypts what must not be readable in the database. Always set with an external database; with the embedded one
   * `undefined` means: generate it once into {@link Config.dataDir}.
   */
  readonly secret: string | undefined;
  /** Opens what was made with another {@link Config.secret}; nothing is made with them. */
  readonly formerSecrets: readonly string[];
  /** Folder of the embedded database and the generated secret, as it was written; relative to the working directory. */
  readonly dataDir: string;
  /** At least one; no two share an address. */
  readonly listeners: readonly ListenerConfig[];
  readonly client: ClientConfig;
  readonly sync: SyncConfig;
  readonly polling: PollingConfig;
  readonly logging: LoggingConfig;
  readonly metrics: { readonly enabled: boolean };
}

interface HomeserverConfig {
  /** Base URL of the homeserver's client API, without a slash at its end. */
  readonly url: string;
  /** `undefined`: take it from the first user id seen. */
  readonly serverName: string | undefined;
}

type DatabaseConfig =
  | { readonly kind: "external"; readonly url: string; readonly poolSize: number }
  | { readonly kind: "embedded"; readonly poolSize: number };

/** `client`: what Matrix clients call. `internal`: metrics, liveness and readiness. */
type ListenerResource = "client" | "internal";

export type ListenerConfig =
  | {
      readonly kind: "tcp";
      /** 0: any free port. */
      readonly port: number;
      readonly bind: string;
      readonly resources: readonly ListenerResource[];
    }
  | { readonly kind: "unix"; readonly path: string; readonly resources: readonly ListenerResource[] };

interface ClientConfig {
  readonly passthrough: boolean;
  readonly bodyLimitBytes: number;
}

interface SyncConfig {
  readonly initialWaitMs: number;
  readonly maxTimeoutMs: number;
  readonly maxTimelineLimit: number;
  readonly simplifiedOps: boolean;
}

interface PollingConfig {
  readonly timelineLimit: number;
  readonly idleAfterMs: number;
  readonly catchUpWaitMs: number;
  readonly initialConcurrency: number;
}

interface LoggingConfig {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
  readonly format: "json" | "pretty";
}
