import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import { hasCode } from "./error-code.ts";

/** As whom the server runs. PostgreSQL refuses to run as root. */
export type ServerUser =
  /** As this process. */
  | { readonly kind: "same" }
  /** As another user; this process is root. */
  | { readonly kind: "other"; readonly uid: number; readonly gid: number; readonly capability: Capability | undefined };

/** What lets a user who is not root go through folders that are closed to it. */
type Capability = "dac_read_search" | "dac_override";
/** Bits in the capability sets of `/proc/self/status` (linux/capability.h). */
const CAPABILITY_BITS = {
  chown: 1n << 0n,
  dac_override: 1n << 1n,
  dac_read_search: 1n << 2n,
  setgid: 1n << 6n,
  setuid: 1n << 7n,
};

/** `nobody` of every Linux system. */
const NOBODY = 65534;

/** Chooses the user: the owner of an existing data folder, else nobody. `folder` is absolute. */
export async function serverUser(folder: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return { kind: "same" };
  const held = await heldCapabilities();
  const { chown, setgid, setuid } = CAPABILITY_BITS;
  if ([chown, setgid, setuid].some((bit) => (held & bit) === 0n)) {
    throw new EmbeddedPostgresError(
      "PostgreSQL does not run as root, and this root may not become another user; start Slidecar as another user or " +
        "set database.url",
    );
  }
  const { uid, gid } = await ownerOf(folder);
  const closed = await closedFolderAbove(folder, uid, gid);
  if (closed === undefined) return { kind: "other", uid, gid, capability: undefined };
  const openers = ["dac_read_search", "dac_override"] as const;
  const capability = openers.find((name) => (held & CAPABILITY_BITS[name]) !== 0n);
  if (capability === undefined) {
    throw new EmbeddedPostgresError(
      `PostgreSQL does not run as root, and ${closed} keeps other users out; start Slidecar as another user or ` +
        "set another data_dir",
    );
  }
  return { kind: "other", uid, gid, capability };
}

/** The command that runs a program as that user. */
export function asUser(user: ServerUser, program: string, args: readonly string[]) {
  // The working folder of this process may be closed to the user, and its environment holds our secrets.
  const base = { cwd: "/", env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" } };
  if (user.kind === "same") return { command: program, args: [...args], options: base };
  const { uid, gid, capability } = user;
  if (capability === undefined) return { command: program, args: [...args], options: { ...base, uid, gid } };
  const setpriv = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  const pass = [`--inh-caps=+${capability}`, `--ambient-caps=+${capability}`];
  return { command: "setpriv", args: [...setpriv, ...pass, "--", program, ...args], options: base };
}

async function ownerOf(folder: string): Promise<{ uid: number; gid: number }> {
  try {
    const { uid, gid } = await stat(folder);
    if (uid !== 0) return { uid, gid };
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  return { uid: NOBODY, gid: NOBODY };
}

/** The first existing folder above `folder` through which that user may not go. */
async function closedFolderAbove(folder: string, uid: number, gid: number): Promise<string | undefined> {
  for (let above = dirname(folder); ; above = dirname(above)) {
    const found = await stat(above).catch(() => undefined);
    const bit = found?.uid === uid ? 0o100 : found?.gid === gid ? 0o010 : 0o001;
    if (found !== undefined && (found.mode & bit) === 0) return above;
    if (above === dirname(above)) return undefined;
  }
}

/** Bits of what this process may do and hand on. */
async function heldCapabilities(): Promise<bigint> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const bits = (set: string) => BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)`, "m").exec(status)?.[1] ?? "0"}`);
  return bits("CapPrm") & bits("CapBnd");
}
