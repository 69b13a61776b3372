#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { runDrain } from "./cli/drain.ts";
import { runExportLedger } from "./cli/export-ledger.ts";
import { runMigrate } from "./cli/migrate.ts";
import { runRebuildCache } from "./cli/rebuild-cache.ts";
import { runRotateSecret } from "./cli/rotate-secret.ts";
import { start } from "./cli/start.ts";
import { helpText, parseArguments, UsageError } from "./config/flags.ts";
import { loadConfig } from "./config/load.ts";
import { printConfig } from "./config/print.ts";
import { ConfigError } from "./config/problems.ts";
import { SchemaError } from "./store/migrate.ts";
import { SecretError } from "./store/secrets.ts";

const print = (text: string) => process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);

async function version(): Promise<string> {
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function run(argv: readonly string[], stop: AbortSignal): Promise<void> {
  const parsed = parseArguments(argv);
  if (parsed.command === "help") {
    print(helpText());
    return;
  }
  if (parsed.command === "version") {
    print(await version());
    return;
  }
  const config = loadConfig({ files: parsed.files, env: process.env, flags: parsed.flags });
  if (parsed.command === "check-config") print(printConfig(config));
  else if (parsed.command === "migrate") await runMigrate(config, print);
  else if (parsed.command === "rebuild-cache") await runRebuildCache(config, print);
  else if (parsed.command === "export-ledger") await runExportLedger(config, parsed.output, print);
  else if (parsed.command === "drain") await runDrain(config, parsed.isEnd, print, stop);
  else if (parsed.command === "rotate-secret") await runRotateSecret(config, print);
  else await start(config, parsed.role, await version(), stop);
}

/** What a person is told of an error that ends the program: one line for what they can mend, the stack for a bug. */
function explain(error: unknown): { readonly text: string; readonly exitCode: number } {
  if (error instanceof UsageError) return { text: `${error.message}\n\n${helpText()}`, exitCode: 2 };
  const isTheirs = error instanceof ConfigError || error instanceof SchemaError || error instanceof SecretError;
  if (isTheirs || !(error instanceof Error)) return { text: isTheirs ? error.message : String(error), exitCode: 1 };
  return { text: error.message || String(error.cause ?? error), exitCode: 1 };
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
try {
  await run(process.argv.slice(2), stop.signal);
} catch (error) {
  const { text, exitCode } = explain(error);
  process.stderr.write(`slidecar: ${text}\n`);
  process.exitCode = exitCode;
}
