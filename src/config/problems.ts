import { configKeys } from "./keys.ts";
import type { ConfigNode, NodePath } from "./node.ts";
import { nodeAt } from "./node.ts";

/** The configuration cannot be used. Each problem is one line that names the key, its source and what to do. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** Longest part of a wrong value that an error repeats. */
const SHOWN_VALUE_CHARACTERS = 60;

/** `sync.initial_wait (config.yaml:3): expected a duration`; a problem of a default or of a whole file has no such pair. */
export function problemLine(path: NodePath, origin: string, message: string): string {
  const where = [dotted(path), origin === "" ? "" : path.length === 0 ? origin : `(${origin})`];
  return `${where.filter((part) => part !== "").join(" ")}: ${message}`;
}

/** `listeners.0.port` */
export function dotted(path: NodePath): string {
  return path.map((part) => (isPlainName(String(part)) ? part : "(not a word)")).join(".");
}

/**
 * What was written in place of the expected. Text is repeated only for a key that is known and not secret, and not when
 * it could hold credentials: a value in the wrong place may be a secret that lost its key.
 */
export function shownValue(root: ConfigNode, path: NodePath): string {
  const node = nodeAt(root, path);
  if (node === undefined) return "nothing";
  if (node.kind !== "value") return `a ${node.kind}`;
  if (node.value === null) return "no value";
  if (!mayShow(path) || String(node.value).includes("@")) {
    return typeof node.value === "string" ? "text" : `a ${typeof node.value}`;
  }
  const shown = JSON.stringify(node.value);
  return shown.length > SHOWN_VALUE_CHARACTERS ? `${shown.slice(0, SHOWN_VALUE_CHARACTERS)}…` : shown;
}

/** `; did you mean homeserver.url?`, or nothing when no key is near. */
export function suggestion(path: NodePath): string {
  const written = pattern(path);
  const [nearest] = configKeys
    .map((key) => ({ key, distance: editDistance(written, key.path) }))
    .filter(({ key, distance }) => distance <= Math.max(2, lastName(key.path).length / 3))
    .sort((a, b) => a.distance - b.distance);
  const meant = nearest?.key ?? configKeys.find((key) => lastName(key.path) === lastName(written));
  return meant === undefined ? "" : `; did you mean ${meant.path}?`;
}

function mayShow(path: NodePath): boolean {
  const written = pattern(path);
  const key = configKeys.find((each) => each.path === written || `${each.path}[]` === written);
  return key !== undefined && key.typeName !== "map" && key.documentation.isSecret !== true;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** The path with `[]` for each index, as {@link configKeys} writes it. */
function pattern(path: NodePath): string {
  return path
    .map((part) => (typeof part === "number" ? "[]" : `.${part}`))
    .join("")
    .replace(/^\./, "");
}

function isPlainName(text: string): boolean {
  return /^[\w-]{1,60}$/.test(text);
}

/** Letters to insert, delete or replace to make one text the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
