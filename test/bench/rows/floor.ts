import { quantile } from "../statistics.ts";
import { call, keptConnections } from "../sync-client.ts";

/** What one request costs whatever is asked: `GET` of an address that only answers. Median, in milliseconds. */
export async function loopbackFloorMs(internalUrl: string, requests = 300): Promise<number> {
  const agent = keptConnections(false, 1);
  const url = `${internalUrl}/live`;
  const times: number[] = [];
  for (let index = 0; index < requests; index += 1) times.push((await call({ url, agent })).totalMs);
  agent.destroy();
  return quantile(times.slice(Math.floor(requests / 3)), 0.5);
}
