// A real Synapse for a test: its own temporary folder and SQLite file, its defaults but for registration and rate limits.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type ServerProcess, startServerProcess } from "./server-process.ts";
import { installSynapse, run, type SynapseInstallation } from "./synapse-install.ts";

/** The first start writes the schema, which takes several seconds and more on a busy machine. */
const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 20_000;

export type SynapseOptions = {
  /** Native sliding sync on or off. */
  native: boolean;
  /** MSC4222, `state_after` in `/sync`; off by default, as in Synapse. */
  msc4222?: boolean;
  port?: number;
  /** Path of an appservice registration file. */
  registration?: string;
  /** How long an answer to `/sync` is kept, for example `"0s"`; Synapse's own default is two minutes. */
  responseCache?: string;
  /** How long an access token lives that comes with a refresh token; Synapse's own default is five minutes. */
  accessTokenLife?: string;
  /** Rooms that no sync of anybody shows. */
  excludedRooms?: readonly string[];
};

export type Synapse = {
  readonly url: string;
  readonly version: string;
  readonly serverName: "hs1";
  logTail(): string;
  /** Stops it and starts it again with what it has stored, at the same address; resolves when it answers. */
  restart(changes: Partial<SynapseOptions>): Promise<void>;
  stop(): Promise<void>;
};

/** Starts Synapse on 127.0.0.1 and resolves when it answers. `stop`, also by disposal, ends it and removes its folder. */
export async function startSynapse(options: SynapseOptions): Promise<Synapse & AsyncDisposable> {
  const installation = await installSynapse();
  const folder = await mkdtemp(join(tmpdir(), "synapse-"));
  try {
    const port = options.port ?? (await freePort());
    let server = await start(installation, folder, port, options);
    const stop = async () => {
      try {
        await server.stop(STOP_WITHIN_MS);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    };
    return {
      url: `http://127.0.0.1:${port}`,
      version: installation.version,
      serverName: "hs1",
      logTail: () => server.logTail(),
      restart: async (changes) => {
        await server.stop(STOP_WITHIN_MS);
        server = await start(installation, folder, port, { ...options, ...changes });
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function start(
  { python }: SynapseInstallation,
  folder: string,
  port: number,
  options: SynapseOptions,
): Promise<ServerProcess> {
  // JSON is YAML.
  const configFile = join(folder, "homeserver.yaml");
  await writeFile(configFile, JSON.stringify(config(folder, port, options), null, 2));
  await writeFile(join(folder, "log.yaml"), JSON.stringify(LOG_CONFIG));
  const main = ["-m", "synapse.app.homeserver", "-c", configFile];
  const keys = await run(python, [...main, "--generate-keys"]);
  if (keys.code !== 0) throw new Error(`Synapse does not accept its configuration:\n${keys.stdout}${keys.stderr}`);
  const server = await startServerProcess({
    name: "Synapse",
    command: python,
    args: main,
    cwd: folder,
    logFile: join(folder, "homeserver.log"),
    readyUrl: `http://127.0.0.1:${port}/health`,
    readyWithinMs: READY_WITHIN_MS,
  });
  if (options.native) await tablesFilled(python, databaseOf(folder));
  return server;
}

const databaseOf = (folder: string): string => join(folder, "homeserver.db");

const WAIT_FOR_TABLES = `
import sqlite3, sys, time
database = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", timeout=60, uri=True)
while database.execute("SELECT 1 FROM background_updates").fetchone():
    time.sleep(0.05)
`;

/** Until its tables for it are filled, also with nothing, native sliding sync goes another way and answers otherwise. */
async function tablesFilled(python: string, database: string): Promise<void> {
  const { code, stderr } = await run(python, ["-c", WAIT_FOR_TABLES, database]);
  if (code !== 0) throw new Error(`Synapse's background updates cannot be watched:\n${stderr}`);
}

const LOG_CONFIG = {
  version: 1,
  formatters: { plain: { format: "%(asctime)s %(levelname)s %(name)s: %(message)s" } },
  handlers: { console: { class: "logging.StreamHandler", formatter: "plain", stream: "ext://sys.stdout" } },
  root: { level: "WARNING", handlers: ["console"] },
  disable_existing_loggers: false,
};

function config(folder: string, port: number, options: SynapseOptions): Record<string, unknown> {
  return {
    server_name: "hs1",
    public_baseurl: `http://127.0.0.1:${port}/`,
    report_stats: false,
    pid_file: join(folder, "homeserver.pid"),
    log_config: join(folder, "log.yaml"),
    signing_key_path: join(folder, "hs1.signing.key"),
    media_store_path: join(folder, "media"),
    macaroon_secret_key: randomBytes(24).toString("hex"),
    form_secret: randomBytes(24).toString("hex"),
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    listeners: [
      {
        port,
        type: "http",
        tls: false,
        x_forwarded: true,
        bind_addresses: ["127.0.0.1"],
        resources: [{ names: ["client"], compress: false }],
      },
    ],
    database: { name: "sqlite3", args: { database: databaseOf(folder) } },
    // They pause between themselves for a second, and are many in a new database.
    background_updates: { sleep_enabled: false },
    enable_registration: true,
    enable_registration_without_verification: true,
    bcrypt_rounds: 4,
    ...(options.registration === undefined ? {} : { app_service_config_files: [options.registration] }),
    ...(options.responseCache === undefined ? {} : { caches: { sync_response_cache_duration: options.responseCache } }),
    ...(options.accessTokenLife === undefined ? {} : { refreshable_access_token_lifetime: options.accessTokenLife }),
    exclude_rooms_from_sync: options.excludedRooms ?? [],
    experimental_features: { msc3575_enabled: options.native, msc4222_enabled: options.msc4222 ?? false },
    ...unlimitedRates(),
  };
}

function unlimitedRates(): Record<string, unknown> {
  const unlimited = { per_second: 1_000_000, burst_count: 1_000_000 };
  return {
    rc_message: unlimited,
    rc_registration: unlimited,
    rc_registration_token_validity: unlimited,
    rc_login: { address: unlimited, account: unlimited, failed_attempts: unlimited },
    rc_admin_redaction: unlimited,
    rc_joins: { local: unlimited, remote: unlimited },
    rc_joins_per_room: unlimited,
    rc_key_requests: unlimited,
    rc_3pid_validation: unlimited,
    rc_invites: { per_room: unlimited, per_user: unlimited, per_issuer: unlimited },
    rc_third_party_invite: unlimited,
    rc_media_create: unlimited,
    rc_presence: { per_user: unlimited },
    rc_delayed_event_mgmt: unlimited,
    rc_room_creation: unlimited,
    rc_reports: unlimited,
    rc_user_directory: unlimited,
  };
}
