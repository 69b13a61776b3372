import type { RowMeasure } from "../bench.ts";
import { floodUser, tokenOf } from "../population.ts";
import { keptConnections, patientSync } from "../sync-client.ts";
import type { FloodDone } from "../upstream/orders.ts";

/** Many small responses, each stored durably before its stream is asked to go on. */
export const ingestLive: RowMeasure = {
  key: "ingest-live",
  async measure({ service, cluster, upstream, sizes }) {
    await service.startApart();
    const agent = keptConnections(false);
    const users = Array.from({ length: sizes.floodUsers }, (_, index) => floodUser(index));
    const url = service.client.clientUrl;
    for (const user of users) {
      await patientSync({ url, token: tokenOf(user), agent, connId: "flood", range: [0, 0] });
    }
    agent.destroy();
    // Nobody is served meanwhile: what is measured is storing.
    await service.stop("client");
    try {
      await upstream.tell({ kind: "flood", users: sizes.floodUsers, seconds: 2 });
      const cpu = () => ({ intake: service.intake.cpuSeconds(), database: cluster.cpuSeconds() });
      const before = cpu();
      const order = { kind: "flood", users: sizes.floodUsers, seconds: sizes.floodSeconds } as const;
      const { stored, seconds } = await upstream.tell<FloodDone>(order);
      const after = cpu();
      const intake = after.intake - before.intake;
      const database = after.database - before.database;
      return [
        {
          key: "ingest-live",
          quantity: "ingest, live and durable",
          figures: [
            { name: "per core", value: stored / (intake + database), unit: "events/s", target: 5_000, isRate: true },
          ],
          how:
            `${sizes.floodUsers} devices whose polls are answered at once with one event each, so that a device's next ` +
            `event waits until the last one is on disk: ${Math.round(stored / seconds).toLocaleString("en")} events/s by ` +
            `the clock for ${Math.round(seconds)} s. Per core: divided by the CPU seconds of the intake process ` +
            `(${intake.toFixed(1)}) and the database (${database.toFixed(1)}).`,
        },
      ];
    } finally {
      await service.startClient();
    }
  },
};
