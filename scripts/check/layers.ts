import { type Import, type Module, readModules } from "./imports.ts";
import type { Finding, Rule } from "./source.ts";

/**
 * Which folder of src may import which. Files directly in src, and cli, compose the program and may import all.
 * What `sync`, `http` and `jobs` need of `homeserver` and `intake` they receive as ports: interfaces in `model` that
 * `app.ts` hands in, so that none of the three knows how the homeserver is reached.
 */
export const mayImport = {
  lib: [],
  config: ["lib"],
  metrics: ["lib"],
  logging: ["lib"],
  model: ["lib"],
  engine: ["model", "lib"],
  store: ["model", "lib"],
  stream: ["model", "lib"],
  homeserver: ["model", "lib"],
  intake: ["homeserver", "store", "stream", "model", "lib"],
  sync: ["engine", "store", "stream", "model", "lib"],
  protocol: ["engine", "model", "lib"],
  http: ["sync", "protocol", "model", "lib"],
  jobs: ["store", "model", "lib"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** Folders of which only types may be imported, by which importer; beside {@link mayImport}. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = { protocol: ["engine"] };

/** These hand their objects in; all folders but the innermost may name their types. */
const OBSERVERS: readonly string[] = ["metrics", "logging"];
const INNERMOST: readonly string[] = ["lib", "model", "engine"];

const COMPOSING: readonly string[] = ["", "cli"];

/** The scripted homeserver shares no code with the program, lest both have the same fault; `lib` knows nothing of Matrix. */
const SCRIPTED_HOMESERVER = "test/support/homeserver/";

/** Imports keep to {@link mayImport}; src imports nothing of test and scripts. */
export const layers: Rule = (files) =>
  readModules(files).flatMap((module) => [...unknownFolder(module), ...breaches(module)]);

function unknownFolder({ path }: Module): Finding[] {
  const folder = folderOf(path);
  if (folder === undefined || COMPOSING.includes(folder) || Object.hasOwn(mayImport, folder)) return [];
  return [{ path, line: 0, message: `src/${folder} is not in the table of folders (scripts/check/layers.ts)` }];
}

function breaches({ path, imports }: Module): Finding[] {
  return imports.flatMap((each) => {
    const message = breach(path, each);
    return message === undefined ? [] : [{ path, line: each.line, message }];
  });
}

function breach(path: string, { target, isTypeOnly }: Import): string | undefined {
  if (target === undefined) return undefined;
  const from = folderOf(path);
  const to = folderOf(target);
  if (from === undefined) {
    const isApart = path.startsWith(SCRIPTED_HOMESERVER) && to !== undefined && to !== "lib";
    return isApart ? `the scripted homeserver imports src/${to}; of src it may import lib only` : undefined;
  }
  if (to === undefined) return /^(?:test|scripts)\//.test(target) ? `src imports ${target}` : undefined;
  if (from === to || COMPOSING.includes(from)) return undefined;
  if (OBSERVERS.includes(to) && !INNERMOST.includes(from)) {
    return isTypeOnly ? undefined : `${from} may import types of ${to} only (import type)`;
  }
  const allowed: readonly string[] = Object.entries(mayImport).find(([folder]) => folder === from)?.[1] ?? [];
  if (!allowed.includes(to)) return `${from} may not import ${to === "" ? target : to}`;
  const isValueOfTypes = TYPES_ONLY[from]?.includes(to) === true && !isTypeOnly;
  return isValueOfTypes ? `${from} may import types of ${to} only (import type)` : undefined;
}

/** `store` for `src/store/rooms.ts`, `""` for a file directly in src, `undefined` outside of src. */
function folderOf(path: string): string | undefined {
  const [top, folder, ...rest] = path.split("/");
  if (top !== "src" || folder === undefined) return undefined;
  return rest.length === 0 ? "" : folder;
}
