import { parseArgs } from "node:util";
import { isNativeError } from "node:util/types";
import type { ConfigFlags } from "./load.ts";

/** The command line is wrong; the message is one line for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Which part of the service this process runs: `client` answers clients, `intake` polls the homeserver. */
export type Role = "all" | "client" | "intake";

type Arguments =
  | {
      readonly command: (typeof COMMANDS)[number];
      /** Configuration files in the order in which they are merged. */
      readonly files: readonly string[];
      readonly role: Role;
      readonly flags: ConfigFlags;
      /** Of `export-ledger`: the file to write; undefined: standard output. */
      readonly output: string | undefined;
      /** Of `drain`: take it back. */
      readonly isEnd: boolean;
    }
  | { readonly command: "help" }
  | { readonly command: "version" };

const COMMANDS = [
  "start",
  "migrate",
  "check-config",
  "rebuild-cache",
  "rotate-secret",
  "export-ledger",
  "drain",
] as const;
/** Flags that one command has alone. */
const FLAG_OF = { output: "export-ledger", end: "drain" } as const;
const ROLES = ["all", "client", "intake"] as const;
const MAX_PORT = 65_535;

const OPTIONS = {
  config: { type: "string", short: "c", multiple: true },
  homeserver: { type: "string" },
  port: { type: "string" },
  "data-dir": { type: "string" },
  role: { type: "string" },
  output: { type: "string" },
  end: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
} as const;

/**
 * Reads the arguments after the program's name. `--help` and `--version` win over all others.
 * @throws {UsageError}
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  if (values.help === true) return { command: "help" };
  if (values.version === true) return { command: "version" };
  const [command = "start", surplus] = positionals;
  if (surplus !== undefined) throw new UsageError(`one command at a time: ${positionals.join(" ")}`);
  const { homeserver, port, "data-dir": dataDir, output } = values;
  for (const [flag, owner] of Object.entries(FLAG_OF)) {
    if (Object.hasOwn(values, flag) && command !== owner) throw new UsageError(`--${flag} goes with ${owner} only`);
  }
  return {
    command: oneOf(COMMANDS, command, "command"),
    output,
    isEnd: values.end ?? false,
    files: values.config ?? [],
    role: oneOf(ROLES, values.role ?? "all", "--role"),
    flags: {
      ...(homeserver !== undefined && { homeserver }),
      ...(port !== undefined && { port: portOf(port) }),
      ...(dataDir !== undefined && { dataDir }),
    },
  };
}

/** What `--help` prints. */
export function helpText(): string {
  return `Usage: slidecar [command] [flags]

Commands
  start          run the service (the default)
  migrate        bring the database schema up to date and exit
  check-config   read the configuration, print it with secrets masked and exit
  rebuild-cache  drop what the homeserver can tell again and keep what exists nowhere else; no Slidecar may run
                 on the database meanwhile
  rotate-secret  seal the stored access tokens with the present secret instead of former_secrets; with a
                 generated secret in data_dir, make a new one first
  export-ledger  write what exists nowhere else as JSON lines, for a backup; the service may run meanwhile
  drain          stop taking messages from the homeserver, and wait until clients have acknowledged those that were
                 taken; Ctrl-C ends the waiting only

Flags
  -c, --config FILE   YAML file; may be repeated, later files are laid over earlier ones
  --homeserver URL    base URL of the homeserver (homeserver.url)
  --port N            port of the client listener (listeners)
  --data-dir DIR      folder of the embedded database (data_dir)
  --role ROLE         all, client or intake: which part this process runs (default all)
  --output FILE       of export-ledger: a new file to write to (default standard output)
  --end               of drain: take it back, so that devices are polled again
  --help              print this and exit
  --version           print the version and exit

Every key of the file can be set in the environment: SLIDECAR__HOMESERVER__URL sets homeserver.url.
Defaults come first, then files in their order, then the environment, then flags; later ones win.

Exit code 0: done; 1: the configuration, the database or the secret is at fault, or not all is drained; 2: wrong usage.
`;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // Node's first sentence names the argument; those after it explain its own rules.
    const [reason] = (isNativeError(error) ? error.message : String(error)).split(". ");
    throw new UsageError(reason, { cause: error });
  }
}

function oneOf<Word extends string>(words: readonly Word[], given: string, what: string): Word {
  const word = words.find((each) => each === given);
  if (word === undefined) throw new UsageError(`unknown ${what} ${given}; expected ${words.join(", ")}`);
  return word;
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= MAX_PORT)) throw new UsageError(`--port expects a number from 0 to ${MAX_PORT}, got ${text}`);
  return port;
}
