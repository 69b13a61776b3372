import { spawn } from "node:child_process";

export interface ProgramResult {
  readonly isOk: boolean;
  /** What it wrote, standard output before standard error. */
  readonly output: string;
}

/** Runs a JavaScript program on this Node, without a shell, and waits for its end. */
export async function runProgram(root: string, script: string, args: readonly string[]): Promise<ProgramResult> {
  const child = spawn(process.execPath, [script, ...args], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, isOk] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<boolean>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve(code === 0));
    }),
  ]);
  return { isOk, output: `${out}${err}`.trim() };
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) text += chunk;
  return text;
}
