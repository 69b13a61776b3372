import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { DoneMessage, Order, OrderMessage, ReadyMessage } from "./upstream/orders.ts";

const SCRIPT = fileURLToPath(new URL("./upstream/main.ts", import.meta.url));

/** The homeserver of the bench, in a process of its own. */
export interface BenchUpstream extends AsyncDisposable {
  readonly url: string;
  /** Resolves when the order is done. */
  tell<Result = void>(order: Order): Promise<Result>;
}

export async function startUpstream(): Promise<BenchUpstream> {
  const child = fork(SCRIPT, { execArgv: ["--no-warnings"] });
  const gone = once(child, "exit");
  const [{ port }] = (await once(child, "message")) as [ReadyMessage];
  const waiting = new Map<number, (result: unknown) => void>();
  child.on("message", ({ id, result }: DoneMessage) => {
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  let lastId = 0;
  return {
    url: `http://127.0.0.1:${port}`,
    tell<Result>(order: Order) {
      lastId += 1;
      const id = lastId;
      return new Promise<Result>((resolve) => {
        waiting.set(id, (result) => resolve(result as Result));
        child.send({ id, order } satisfies OrderMessage);
      });
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await gone;
    },
  };
}
