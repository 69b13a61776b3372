import { execFile } from "node:child_process";
import { chown, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import type { PostgresPrograms } from "./embedded-postgres-programs.ts";
import { asUser, type ServerUser } from "./embedded-postgres-user.ts";
import { hasCode } from "./error-code.ts";

/** The superuser of our clusters. Whoever reaches the socket is let in: its folder is closed to all others. */
export const SUPERUSER = "slidecar";
const PID_FILE = "postmaster.pid";
const SOCKET_FOLDER_PREFIX = "slidecar-pg-";
const SOCKET_NAME = ".s.PGSQL.5432";
/** `sun_path` of a Unix socket, without its end mark. */
const MAX_SOCKET_PATH_BYTES = 107;

const run = promisify(execFile);

/** The major version of the cluster in the folder; undefined: there is none yet. */
export async function clusterMajor(folder: string): Promise<number | undefined> {
  try {
    return Number(await readFile(join(folder, "PG_VERSION"), "utf8"));
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw unreadable(folder, error);
  }
  const content = await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return [];
    throw unreadable(folder, error);
  });
  if (content.length === 0) return undefined;
  throw new EmbeddedPostgresError(`${folder} holds something else than a PostgreSQL cluster; set another data_dir`);
}

const unreadable = (folder: string, cause: unknown) =>
  new EmbeddedPostgresError(
    `${folder} cannot be read (${String(cause)}); start Slidecar as the user who made it, or set another data_dir`,
    { cause },
  );

/** Makes a cluster. The folder appears whole or not at all, whenever this process is killed. */
export async function createCluster(
  programs: PostgresPrograms,
  folder: string,
  user: ServerUser,
  isSynced: boolean,
): Promise<void> {
  const draft = await mkdtemp(`${folder}.new-`);
  try {
    await giveTo(user, draft);
    const flags = ["-D", draft, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-locale"];
    const { command, args, options } = asUser(user, programs.initdb, isSynced ? flags : [...flags, "--no-sync"]);
    await run(command, args, options);
    await rename(draft, folder);
  } catch (cause) {
    await removeDraft(draft);
    // Another program that started at the same time was first, and may have removed our draft: its cluster is used.
    if ((await clusterMajor(folder)) !== undefined) return;
    throw new EmbeddedPostgresError(`no PostgreSQL cluster could be made in ${folder}: ${inOneLine(cause)}`, { cause });
  }
}

/** What a program said on standard error, or why it did not run. */
function inOneLine(error: unknown): string {
  const said = typeof error === "object" && error !== null && "stderr" in error ? String(error.stderr) : "";
  return (said.trim() || String(error)).replaceAll(/\s*\n\s*/g, " ");
}

/** Removes clusters that killed programs left half made beside the folder. Only for the owner of the cluster. */
export async function removeDrafts(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.new-`;
  const names = await readdir(dirname(folder));
  const drafts = names.filter((name) => name.startsWith(prefix));
  await Promise.all(drafts.map((name) => removeDraft(join(dirname(folder), name))));
}

/** Fails without harm while somebody still writes into it: the next start removes it. */
async function removeDraft(draft: string): Promise<void> {
  await rm(draft, { recursive: true, force: true }).catch(() => {});
}

/** What `postmaster.pid` says of the server that runs, or ran, in the folder. */
interface Postmaster {
  readonly pid: number;
  /** Empty: the server has just begun to start. */
  readonly socketFolder: string;
}

export async function readPostmaster(folder: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(folder, PID_FILE), "utf8").catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return "";
    throw unreadable(folder, error);
  });
  // Lines: pid, data folder, start time, port, socket folder, listen address, shared memory, status.
  const [pid = "", , , , socketFolder = ""] = text.split("\n");
  return /^\d+$/.test(pid) ? { pid: Number(pid), socketFolder } : undefined;
}

/**
 * Whether that process is alive and is the server of this folder. Numbers of processes repeat, in a container even after
 * each restart; the command line tells, and every user may read it.
 */
export async function isServing(folder: string, pid: number): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const [program = "", flag, servedFolder] = commandLine.split("\0");
  return basename(program) === "postgres" && flag === "-D" && servedFolder === folder;
}

/** Clears the way after a server that is gone: it would refuse to start for any process that has its number now. */
export async function forgetPostmaster(folder: string, { pid, socketFolder }: Postmaster): Promise<void> {
  // Another program may have started a server meanwhile.
  if ((await readPostmaster(folder))?.pid !== pid) return;
  await rm(join(folder, PID_FILE), { force: true });
  await removeSocketFolder(socketFolder);
}

/** Where the server makes its socket: in the data folder, or in a temporary one when that path is too long. */
export async function socketFolderFor(folder: string, user: ServerUser): Promise<string> {
  if (Buffer.byteLength(join(folder, SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES) return folder;
  const inTemporary = join(tmpdir(), `${SOCKET_FOLDER_PREFIX}xxxxxx`, SOCKET_NAME);
  const parent = Buffer.byteLength(inTemporary) <= MAX_SOCKET_PATH_BYTES ? tmpdir() : "/tmp";
  const made = await mkdtemp(join(parent, SOCKET_FOLDER_PREFIX));
  await giveTo(user, made);
  return made;
}

/** Removes a temporary socket folder; any other stays. */
export async function removeSocketFolder(socketFolder: string): Promise<void> {
  if (!basename(socketFolder).startsWith(SOCKET_FOLDER_PREFIX)) return;
  await rm(socketFolder, { recursive: true, force: true });
}

async function giveTo(user: ServerUser, folder: string): Promise<void> {
  if (user.kind === "other") await chown(folder, user.uid, user.gid);
}

/** Makes the folders above a data folder. The result is its one true path: servers are recognized by it. */
export async function settleFolder(dataDir: string): Promise<string> {
  const folder = resolve(dataDir);
  try {
    await mkdir(dirname(folder), { recursive: true });
    return await realpath(folder);
  } catch (cause) {
    if (hasCode(cause, "ENOENT")) return join(await realpath(dirname(folder)), basename(folder));
    throw new EmbeddedPostgresError(`${folder} cannot be made (${String(cause)}); set another data_dir`, { cause });
  }
}
