// Runs a script on Node 24 or later. npm starts this file with whatever Node the machine has; the
// binary that npm installed for this platform takes over when that one is older. (npm 10 makes no
// `.bin/node` when the binaries of two platforms are listed, so the path is looked up here.)
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const own = Number(process.versions.node.split(".")[0]);
const bundled = join(root, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");

if (own < 24 && !existsSync(bundled)) {
  console.error(
    `slidecar: needs Node 24 or later; this is ${process.version} and npm installed no binary for ` +
      `${process.platform}-${process.arch}. Install Node 24, then run npm ci again.`,
  );
  process.exit(1);
}

const child = spawn(own < 24 ? bundled : process.execPath, process.argv.slice(2), { stdio: "inherit" });
// A terminal sends Ctrl-C to the whole group, so the child has it already; a supervisor signals this process only.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`slidecar: could not start Node: ${error.message}`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (signal === "SIGINT" ? 2 : 15);
});
