// What a scenario talks to: something that clients use as their homeserver's URL and that can be killed and started again.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./server-process.ts";

export type Front = {
  readonly name: string;
  readonly url: string;
  /** Ends it without notice: connections break, requests under way get no answer. */
  kill(): Promise<void>;
  /** Starts it again on the same port after `kill`, and resolves when it is ready. */
  restart(): Promise<void>;
  logTail(): string;
  stop(): Promise<void>;
};

/**
 * The homeserver's own sliding sync behind the same interface, which shows that a scenario asks for nothing that a correct server
 * does not do. `kill` breaks the connections to it; the homeserver itself lives on, as it does when Slidecar is killed.
 */
export async function startDirectFront(homeserverUrl: string): Promise<Front & AsyncDisposable> {
  const target = new URL(homeserverUrl);
  const port = await freePort();
  const sockets = new Set<Socket>();
  let server: Server = createServer();
  const listen = async () => {
    server = createServer((inbound) => {
      const outbound = connect(Number(target.port), target.hostname);
      for (const socket of [inbound, outbound]) {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          sockets.delete(socket);
          inbound.destroy();
          outbound.destroy();
        });
      }
      inbound.pipe(outbound).pipe(inbound);
    }).listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  const kill = async () => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  };
  await listen();
  return {
    name: "the homeserver's own sliding sync",
    url: `http://127.0.0.1:${port}`,
    kill,
    restart: listen,
    logTail: () => "",
    stop: kill,
    [Symbol.asyncDispose]: kill,
  };
}
