// Runs jest on this Node with ES modules on. Arguments go to jest.
import { spawnSync } from "node:child_process";

const run = spawnSync(
  process.execPath,
  ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", ...process.argv.slice(2)],
  { stdio: "inherit" },
);
process.exitCode = run.status ?? 1;
