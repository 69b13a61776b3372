import { parseArgs } from "node:util";

export interface Options {
  /** Smaller sizes and fewer samples: shows that everything works, in about a minute. */
  readonly isSmoke: boolean;
  /** Write docs/benchmarks.md. */
  readonly isWritten: boolean;
  /** Another sliding-sync server to ask the same. */
  readonly other: OtherServer | undefined;
  /** Rows to measure, by the start of their key; empty: all. */
  readonly rows: readonly string[];
  /** Folder for CPU profiles of the product's processes. */
  readonly profileFolder: string | undefined;
}

export interface OtherServer {
  readonly url: string;
  readonly token: string;
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}

const USAGE = `usage: npm run bench -- [--smoke] [--write] [--rows KEY,…] [--profile FOLDER]
                      [--target URL --token TOKEN [--dialect simplified]]`;

const OPTIONS = {
  smoke: { type: "boolean", default: false },
  write: { type: "boolean", default: false },
  rows: { type: "string", default: "" },
  profile: { type: "string" },
  target: { type: "string" },
  token: { type: "string" },
  dialect: { type: "string", default: "simplified" },
} as const;

/** @throws {UsageError} */
export function parseOptions(argv: readonly string[]): Options {
  const values = parse(argv);
  const { target, token, dialect } = values;
  if (dialect !== "simplified") throw new UsageError(`unknown dialect ${dialect}; expected simplified`);
  if ((target === undefined) !== (token === undefined)) throw new UsageError("--target and --token go together");
  const isPartial = values.smoke || values.rows !== "" || values.profile !== undefined;
  if (values.write && isPartial) throw new UsageError("--write takes a whole run: without --smoke, --rows, --profile");
  return {
    isSmoke: values.smoke,
    isWritten: values.write,
    other: target === undefined || token === undefined ? undefined : { url: target.replace(/\/+$/, ""), token },
    rows: values.rows.split(",").filter((key) => key !== ""),
    profileFolder: values.profile,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${USAGE}`, { cause: error });
  }
}
