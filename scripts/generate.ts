// Writes the files that are made from declarations in src; with --check only says which of them are stale.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { generatedFiles, staleFiles } from "./generate/outputs.ts";

const root = dirname(import.meta.dirname);
const stale = staleFiles(await generatedFiles(), root);

if (process.argv.includes("--check")) {
  for (const { path } of stale) console.error(`${path} is stale; run npm run generate`);
  if (stale.length > 0) process.exitCode = 1;
} else {
  for (const { path, text } of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`wrote ${path}`);
  }
}
