import { withLogs } from "../e2e/support/server-process.ts";
import { startSlidecar } from "../e2e/support/slidecar.ts";
import { startSynapse } from "../e2e/support/synapse.ts";
import { type LifeReport, watchLife } from "../e2e/support/watched-life.ts";
import type { Soak, SoakOptions } from "./soak.ts";

const MINUTES = 5;
const SEED = 1;
/** Longer: what differed and healed before is not seen, and what is found has a longer past. */
const SECONDS_BETWEEN_LOOKS = 60;

/** Each device of four users sees what a real Synapse says, in a random life. */
export const views: Soak = {
  name: "views",
  run: async ({ seed = SEED, minutes = MINUTES, stop }: SoakOptions, progress) => {
    const command = `npm run test:soak -- views --minutes ${minutes} --seed ${seed}`;
    try {
      await using synapse = await startSynapse({ native: false });
      await using slidecar = await startSlidecar({ homeserverUrl: synapse.url });
      const report = await withLogs([synapse, slidecar], () =>
        watchLife({
          homeserverUrl: synapse.url,
          slidecarUrl: slidecar.url,
          seed,
          seconds: minutes * 60,
          secondsBetweenLooks: SECONDS_BETWEEN_LOOKS,
          stop,
          progress,
        }),
      );
      const failures = report.differences.map((line) => `seed ${seed}, after ${report.deeds} deeds: ${line}`);
      return { lines: linesOf(command, synapse.version, report), failures };
    } catch (error) {
      return { lines: [`\`${command}\` ended early.`], failures: [`seed ${seed}: ${String(error)}`] };
    }
  },
};

const linesOf = (command: string, version: string, { deeds, refused, rooms, looks, differences }: LifeReport) => [
  `\`${command}\`: a random life on Synapse ${version} of four`,
  "users with two devices each, who write, invite, leave, kick, ban, change rooms and, two of them, ignore others. What each device",
  "was told, and what it is told when it starts anew, is compared with `/sync`, `/joined_rooms`, `/state` and `/messages`.",
  "",
  `${deeds} deeds in ${rooms} rooms, and ${refused} that the homeserver refused; compared ${looks} times, ${differences.length} differences.`,
];
