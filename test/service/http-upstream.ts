import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Respond = (request: IncomingMessage, response: ServerResponse) => void;

/** A server whose answers each test writes itself, and which remembers what it was asked. */
export interface TestUpstream extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly IncomingMessage[];
  /** `path` is compared with the path of a request without its query. */
  on(path: string, respond: Respond): void;
  requestsTo(path: string): readonly IncomingMessage[];
}

const pathOf = ({ url = "" }: IncomingMessage) => url.replace(/\?.*/, "");

export async function startUpstream(): Promise<TestUpstream> {
  const requests: IncomingMessage[] = [];
  const routes = new Map<string, Respond>();
  const server = createServer((request, response) => {
    requests.push(request);
    const respond = routes.get(pathOf(request)) ?? (() => json(response, 404, { errcode: "M_UNRECOGNIZED" }));
    respond(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    on: (path, respond) => routes.set(path, respond),
    requestsTo: (path) => requests.filter((request) => pathOf(request) === path),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
