// The end-to-end ring: a real Synapse, real clients, the product as an operator starts it. `--write` writes the pages that a run
// generates; other arguments go to jest.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { installSynapse, REPOSITORY_ROOT } from "./support/synapse-install.ts";

try {
  const synapse = await installSynapse((line) => console.log(`test:e2e: ${line}`));
  console.log(`test:e2e: Synapse ${synapse.version}`);
  const args = process.argv.slice(2);
  if (args.includes("--write")) process.env.SLIDECAR_WRITE_PAGES = "1";
  process.exitCode = runJest(args.filter((each) => each !== "--write"));
} catch (error) {
  console.error(`test:e2e: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function runJest(args: readonly string[]): number {
  const jest = join(REPOSITORY_ROOT, "node_modules", "jest", "bin", "jest.js");
  const config = join(REPOSITORY_ROOT, "test", "e2e", "jest.config.mjs");
  const node = ["--experimental-vm-modules", "--no-warnings"];
  const run = spawnSync(process.execPath, [...node, jest, "--config", config, "--runInBand", ...args], {
    cwd: REPOSITORY_ROOT,
    stdio: "inherit",
  });
  return run.status ?? 1;
}
