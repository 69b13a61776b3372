// Makes dist from src: JavaScript for Node without type stripping, and the SQL files beside it.
import { cpSync, globSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { runProgram } from "./check/programs.ts";

const ROOT = dirname(import.meta.dirname);
const DIST = join(ROOT, "dist");

rmSync(DIST, { recursive: true, force: true });
const { isOk, output } = await runProgram(ROOT, "node_modules/typescript/bin/tsc", ["-p", "tsconfig.build.json"]);
if (isOk) {
  const sources = join(ROOT, "src");
  for (const file of globSync("**/*.sql", { cwd: sources })) cpSync(join(sources, file), join(DIST, file));
  console.log("build: ok");
} else {
  console.error(output);
  console.error("build: failed");
  process.exitCode = 1;
}
