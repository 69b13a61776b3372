import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { isNativeError } from "node:util/types";

/** One text file of the project. */
export interface SourceFile {
  /** From the root of the project, with forward slashes: `src/lib/invariant.ts`. */
  readonly path: string;
  readonly text: string;
}

/** A breach of a rule. */
export interface Finding {
  readonly path: string;
  /** From 1; 0 when the finding is about the whole file. */
  readonly line: number;
  readonly message: string;
}

/** A rule looks at all files at once and knows nothing else. */
export type Rule = (files: readonly SourceFile[]) => readonly Finding[];

const TEXT_FILE = /\.(?:ts|mjs|js|json|md|sql|ya?ml)$/;

/** Reads the text files of the named folders and files below `root`; names that do not exist are passed over. */
export function readSources(root: string, names: readonly string[]): SourceFile[] {
  return names.flatMap((name) =>
    listFiles(join(root, name)).map((file) => ({ path: relative(root, file), text: readFileSync(file, "utf8") })),
  );
}

function listFiles(path: string): string[] {
  try {
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && TEXT_FILE.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => !/\/(?:node_modules|\.cache|dist)\//.test(file))
      .sort();
  } catch (error) {
    const code = isNativeError(error) && "code" in error ? error.code : undefined;
    if (code === "ENOTDIR") return [path];
    if (code === "ENOENT") return [];
    throw error;
  }
}

/** Whether a file is code whose tokens and imports can be read. */
export function isCode({ path }: SourceFile): boolean {
  return /\.(?:ts|mjs|js)$/.test(path);
}

/** The number of the line that holds an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
