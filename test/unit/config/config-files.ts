import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../../src/config/config.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { ConfigError } from "../../../src/config/problems.ts";

interface Sources {
  /** File names with their content, merged in this order. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: Parameters<typeof loadConfig>[0]["flags"];
  /** Files that are there without being configuration; `FOLDER` in the texts stands for the folder of all files. */
  readonly beside?: Readonly<Record<string, string>>;
}

/** Loads the configuration from files that exist for this call only. */
export function load({ files = {}, env = {}, flags = {}, beside = {} }: Sources): Config {
  const folder = mkdtempSync(join(tmpdir(), "slidecar-config-"));
  const fill = (text: string) => text.replaceAll("FOLDER", folder);
  try {
    for (const [name, text] of Object.entries({ ...files, ...beside })) writeFileSync(join(folder, name), fill(text));
    const filledEnv = Object.fromEntries(Object.entries(env).map(([name, text]) => [name, fill(text)]));
    return loadConfig({ files: Object.keys(files).map((name) => join(folder, name)), env: filledEnv, flags });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem) => problem.replaceAll(`${folder}/`, "")));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The problems that loading these sources brings up, with file names free of their folder. */
export function problemsOf(sources: Sources): readonly string[] {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The least that a configuration needs. */
export const HOMESERVER = { SLIDECAR__HOMESERVER__URL: "https://matrix.example.org" };
