import { readFile } from "node:fs/promises";
import type { Line } from "./stage.ts";

/** What Synapse 1.157.1 said in each scene, as `record.ts` wrote it down. */
export async function recordedLines(scene: string): Promise<Line[]> {
  const text = await readFile(new URL("./synapse-1.157.1.jsonl", import.meta.url), "utf8");
  const recorded = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line & { readonly scene: string });
  return recorded.filter((line) => line.scene === scene).map(({ name, answer }) => ({ name, answer }));
}
