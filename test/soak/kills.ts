import { type KillFigures, KillWorld, type RoundReport } from "../support/kills/kill-world.ts";
import { TARGETS, type Target } from "../support/kills/round-plan.ts";
import type { Soak, SoakOptions } from "./soak.ts";

const ROUNDS = 500;
const FIRST_SEED = 1;

/** Rounds in one world, whose tables grow meanwhile. More: every look at them takes longer. */
const ROUNDS_PER_WORLD = 50;

/** Processes, connections and databases die at every step, and nothing is lost or doubled. */
export const kills: Soak = {
  name: "kills",
  run: async ({ seed = FIRST_SEED, rounds = ROUNDS, targets, stop }: SoakOptions, progress) => {
    const chosen = TARGETS.filter((target) => targets?.includes(target) ?? true);
    const seeds = Array.from({ length: rounds }, (_, index) => seed + index);
    const outcome: Outcome = { reports: [], figures: [], failures: [] };
    while (seeds.length > 0 && !stop.aborted) await runWorld(seeds, chosen, outcome, { stop, progress });
    const { reports, failures } = outcome;
    const command = `npm run test:soak -- kills --seed ${seed} --rounds ${rounds}`;
    return {
      lines: linesOf(command, chosen, outcome),
      failures: reports.length === 0 ? ["no round passed", ...failures] : failures,
    };
  },
};

interface Outcome {
  readonly reports: RoundReport[];
  readonly figures: KillFigures[];
  readonly failures: string[];
}

/** Takes seeds until the world has had its rounds, or one failed: what differs then would differ in the next round too. */
async function runWorld(
  seeds: number[],
  targets: readonly Target[],
  { reports, figures, failures }: Outcome,
  { stop, progress }: { readonly stop: AbortSignal; readonly progress: (line: string) => void },
): Promise<void> {
  await using world = await KillWorld.start({ targets });
  for (let round = 0; round < ROUNDS_PER_WORLD && !stop.aborted; round++) {
    const seed = seeds.shift();
    if (seed === undefined) break;
    try {
      const report = await world.round(seed);
      reports.push(report);
      progress(`${report.text}: ${Math.round(report.durationMs)} ms`);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      progress(`FAILED ${failures.at(-1)}`);
      break;
    }
  }
  figures.push(world.figures);
}

function linesOf(command: string, targets: readonly Target[], { reports, figures, failures }: Outcome): string[] {
  const sum = (pick: (figures: KillFigures) => number) => figures.reduce((total, each) => total + pick(each), 0);
  const row = (target: Target) => {
    const times = reports.filter(({ plan }) => plan.target === target).map(({ durationMs }) => durationMs);
    times.sort((a, b) => a - b);
    const seconds = (ms: number | undefined) => (ms === undefined ? "–" : (ms / 1000).toFixed(1));
    return `| ${target} | ${times.length} | ${seconds(times[Math.floor(times.length / 2)])} | ${seconds(times.at(-1))} |`;
  };
  const moments = Map.groupBy(reports, ({ plan: { moment } }) => moment.at);
  return [
    `\`${command}\`: ${reports.length} rounds passed, ${failures.length} failed. In each something dies at one step of storing`,
    "a response, of a poll or of a request; then the store and a client are compared with the homeserver.",
    "",
    "| what died | rounds | median s | longest s |",
    "| --- | --- | --- | --- |",
    ...targets.map(row),
    "",
    `When it died: at a statement ${moments.get("statement")?.length ?? 0}, at a poll ${moments.get("poll")?.length ?? 0}, at any moment`,
    `${moments.get("time")?.length ?? 0}. ${sum(({ toDevice }) => toDevice)} to-device messages, each stored once and in order; ${sum(({ polls }) => polls)} responses of the`,
    `homeserver; the client started anew ${sum(({ clientRestarts }) => clientRestarts)} times, only where the database was stopped.`,
    `In ${sum(({ guests }) => guests)} of the rounds somebody's first sync was under way.`,
  ];
}
