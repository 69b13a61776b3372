import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "pg";
import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import {
  clusterMajor,
  createCluster,
  forgetPostmaster,
  isServing,
  readPostmaster,
  removeDrafts,
  removeSocketFolder,
  settleFolder,
  socketFolderFor,
} from "./embedded-postgres-folder.ts";
import { installedPostgres, postgresPrograms } from "./embedded-postgres-programs.ts";
import { type Server, spawnServer, stopServer, takeOwnership, urlOf } from "./embedded-postgres-server.ts";
import { asUser, serverUser } from "./embedded-postgres-user.ts";

export interface EmbeddedPostgresOptions {
  /** The folder of the cluster; made when it is not there. Drafts and copies of programs may stand beside it. */
  readonly dataDir: string;
  /** One line of the server's log. */
  readonly log: (line: string) => void;
  /** Folder with `bin`, `lib` and `share`. Default: the installation that npm made for this platform. */
  readonly native?: string;
  /** Settings of the server that go before our own. They count when a server is started, not when a living one is found. */
  readonly settings?: Readonly<Record<string, string>>;
}

interface EmbeddedPostgres extends AsyncDisposable {
  readonly url: string;
  /** Aborts when the server has ended without being told to, or another program took the folder. */
  readonly lost: AbortSignal;
}

/** Settings that differ from PostgreSQL's own. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  // Larger than all pools of one program with its listeners and jobs.
  max_connections: "60",
  shared_buffers: "128MB",
  // One server, no replica: large stores write less.
  wal_level: "minimal",
  max_wal_senders: "0",
  // Bounds what the folder holds beside the data. A smaller one makes a checkpoint every few seconds of a long first sync, and commits
  // of others wait for the disk meanwhile.
  max_wal_size: "2GB",
  // A new file of the log is written full of zeros first, while all commits wait: 50 ms where the disk is slow, several a second in a
  // long first sync.
  wal_init_zero: "off",
  // While a first sync fills the buffers, who reads needs clean ones: this many are written ahead, or each read waits for the log.
  bgwriter_delay: "20ms",
  bgwriter_lru_maxpages: "500",
  // Our queries are short; workers would need shared memory, of which containers have 64 MB.
  max_parallel_workers_per_gather: "0",
  log_checkpoints: "off",
  log_line_prefix: "",
};

/** How often a server that has just begun to start is looked at. */
const BEGINNING_PAUSE_MS = 10;

/**
 * Runs a PostgreSQL of our own for one data folder; only this program uses it. A server that lives on after its program was
 * killed is taken over. Disposing ends it. Throws {@link EmbeddedPostgresError}.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = await settleFolder(options.dataDir);
  const owned = (await livingServer(folder)) ?? (await startServer(folder, options));
  const ownership = keepOwnership(owned);
  await removeDrafts(folder);
  return {
    url: urlOf(owned.server),
    lost: ownership.lost,
    async [Symbol.asyncDispose]() {
      // The lock is held to the end, so that nobody takes over a server that is about to stop.
      const isOwner = ownership.endWatch();
      if (isOwner) await stopServer(owned.server);
      await ownership.release();
    },
  };
}

/** Whether there is a cluster in the folder. */
export async function hasEmbeddedPostgres(dataDir: string): Promise<boolean> {
  return (await clusterMajor(await settleFolder(dataDir))) !== undefined;
}

/** URL of the server that serves the folder now, whoever owns it; undefined: there is none. */
export async function findEmbeddedPostgres(dataDir: string): Promise<string | undefined> {
  const folder = await settleFolder(dataDir);
  const found = await readPostmaster(folder);
  if (found === undefined || found.socketFolder === "" || !(await isServing(folder, found.pid))) return undefined;
  return urlOf({ ...found, folder });
}

/**
 * How long the processes of a server that was killed may still be there: each ends with the statement that it runs. Smaller:
 * a start right after a kill fails. Larger: one that has no hope is told later.
 */
const LEFTOVERS_TIMEOUT_MS = 60_000;
const LEFTOVERS_PAUSE_MS = 100;
/** How a server says that they are. */
const LEFTOVERS = "pre-existing shared memory block";

interface OwnedServer {
  readonly server: Server;
  readonly owner: Client;
}

/** Keeps the owner's connection. When one process of the server crashes, it closes all connections and lives on. */
function keepOwnership({ server, owner: first }: OwnedServer) {
  const lost = new AbortController();
  let owner = first;
  let isWanted = true;
  const retake = async () => {
    if (!isWanted) return;
    try {
      const next = await takeOwnership(server, () => isServing(server.folder, server.pid));
      if (next === undefined) throw new EmbeddedPostgresError("the embedded PostgreSQL has ended");
      owner = next;
      owner.once("end", retake);
    } catch (error) {
      lost.abort(error);
    }
  };
  owner.once("end", retake);
  return {
    lost: lost.signal,
    /** From now on a loss is no news. Whether this program is the owner. */
    endWatch(): boolean {
      isWanted = false;
      return !lost.signal.aborted;
    },
    async release(): Promise<void> {
      await owner.end().catch(() => {});
    },
  };
}

/** The server that serves the folder already, once it answers. */
async function livingServer(folder: string): Promise<OwnedServer | undefined> {
  const found = await readPostmaster(folder);
  if (found === undefined) return undefined;
  const isAlive = () => isServing(folder, found.pid);
  if (found.socketFolder === "" && (await isAlive())) {
    await pause(BEGINNING_PAUSE_MS);
    return await livingServer(folder);
  }
  const server = { ...found, folder };
  const owner = found.socketFolder === "" ? undefined : await takeOwnership(server, isAlive);
  if (owner !== undefined) return { server, owner };
  await forgetPostmaster(folder, found);
  return undefined;
}

async function startServer(folder: string, options: EmbeddedPostgresOptions, waitedMs = 0): Promise<OwnedServer> {
  const user = await serverUser(folder);
  const programs = await postgresPrograms(options.native ?? installedPostgres(), dirname(folder), user);
  const settings = { ...SETTINGS, ...options.settings };
  if ((await clusterMajor(folder)) === undefined) {
    await createCluster(programs, folder, user, settings.fsync !== "off");
  }
  const major = await clusterMajor(folder);
  if (major !== programs.major) {
    throw new EmbeddedPostgresError(
      `${folder} was made by PostgreSQL ${major}, installed is ${programs.major}; install the release of Slidecar ` +
        "that made it, or set another data_dir",
    );
  }
  const socketFolder = await socketFolderFor(folder, user);
  const flags = Object.entries({ ...settings, unix_socket_directories: socketFolder });
  const args = ["-D", folder, ...flags.flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const { child, tail } = spawnServer(asUser(user, programs.postgres, args), options.log);
  const server = { pid: child.pid ?? 0, folder, socketFolder };
  const isAlive = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const owner = await takeOwnership(server, isAlive);
  if (owner !== undefined) return { server, owner };
  await removeSocketFolder(socketFolder);
  // Of two programs that start at once one has the folder.
  const other = await livingServer(folder);
  if (other !== undefined) return other;
  if (waitedMs < LEFTOVERS_TIMEOUT_MS && tail.some((line) => line.includes(LEFTOVERS))) {
    await pause(LEFTOVERS_PAUSE_MS);
    return await startServer(folder, options, waitedMs + LEFTOVERS_PAUSE_MS);
  }
  throw new EmbeddedPostgresError(`the embedded PostgreSQL in ${folder} did not start: ${tail.join(" ")}`);
}
