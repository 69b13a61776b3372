import { type EncryptedLifeReport, liveEncrypted } from "../e2e/support/encrypted-life.ts";
import { withLogs } from "../e2e/support/server-process.ts";
import { startSlidecar } from "../e2e/support/slidecar.ts";
import { startSynapse } from "../e2e/support/synapse.ts";
import type { Soak, SoakOptions } from "./soak.ts";

const MINUTES = 10;
const SEED = 1;

/** Three clients of a real Synapse read all that is said in their encrypted room while Slidecar is killed. */
export const encryption: Soak = {
  name: "encryption",
  run: async ({ seed = SEED, minutes = MINUTES, stop }: SoakOptions, progress) => {
    const command = `npm run test:soak -- encryption --minutes ${minutes} --seed ${seed}`;
    try {
      await using synapse = await startSynapse({ native: false });
      await using slidecar = await startSlidecar({ homeserverUrl: synapse.url });
      const report = await withLogs([synapse, slidecar], () =>
        liveEncrypted({
          homeserverUrl: synapse.url,
          front: slidecar,
          seed,
          seconds: minutes * 60,
          stop,
          progress,
        }),
      );
      const failures = report.failures.map((line) => `seed ${seed}: ${line}`);
      return { lines: linesOf(command, synapse.version, report), failures };
    } catch (error) {
      return { lines: [`\`${command}\` ended early.`], failures: [`seed ${seed}: ${String(error)}`] };
    }
  },
};

const linesOf = (command: string, version: string, report: EncryptedLifeReport) => [
  `\`${command}\`: three clients of matrix-js-sdk with encryption, on Synapse ${version}, talk`,
  "in an encrypted room while Slidecar is killed by SIGKILL at random moments, and log in on further devices. In the end each shows",
  "what the homeserver has, in its order, and has decrypted every message that was sent when its device was known.",
  "",
  `${report.kills} kills; ${report.newcomers} further devices; ${report.messages} messages by ${report.keys} room keys, ${report.resent} times one had to be sent again; ${report.failures.length} failures.`,
];
