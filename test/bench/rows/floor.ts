import type { Product } from "../product.ts";
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

/** The same in processor time of the process that answers, on average. */
export async function liveCpuMs(requests: number, product: Product): Promise<number> {
  const agent = keptConnections(false, 1);
  const url = `${product.internalUrl}/live`;
  const cpuMs = await cpuPerCallMs(requests, product, () => call({ url, agent }));
  agent.destroy();
  return cpuMs;
}

/** Processor time of a process per call, one after the other. */
export async function cpuPerCallMs(
  calls: number,
  { cpuSeconds }: Pick<Product, "cpuSeconds">,
  make: (index: number) => Promise<unknown>,
): Promise<number> {
  const before = cpuSeconds();
  for (let index = 0; index < calls; index += 1) await make(index);
  return ((cpuSeconds() - before) * 1000) / calls;
}
