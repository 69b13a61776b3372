import { expect, test } from "@jest/globals";
import { withLogs } from "./support/server-process.ts";
import { startSlidecar } from "./support/slidecar.ts";
import { startSynapse } from "./support/synapse.ts";
import { watchLife } from "./support/watched-life.ts";

const SEED = 1;
const SECONDS = 25;

test("in a random life each of four users' two devices sees what the homeserver says", async () => {
  await using synapse = await startSynapse({ native: false });
  await using slidecar = await startSlidecar({ homeserverUrl: synapse.url });
  await withLogs([synapse, slidecar], async () => {
    const { differences } = await watchLife({
      homeserverUrl: synapse.url,
      slidecarUrl: slidecar.url,
      seed: SEED,
      seconds: SECONDS,
      secondsBetweenLooks: SECONDS,
      stop: new AbortController().signal,
      progress: (line) => console.log(`seed ${SEED}: ${line}`),
    });
    expect(differences).toEqual([]);
  });
});
