// Stands between the product and the homeserver, keeps what every `/sync` brought, and strikes at the one it is told.
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { SyncBody } from "../homeserver/robot.ts";

/** When a strike comes: before a poll reaches the homeserver, before its body is told, within it, or after it. */
export const POINTS = ["asked", "computed", "part", "delivered"] as const;
export type Point = (typeof POINTS)[number];

export interface HomeserverStrike {
  readonly point: Point;
  /** 1: the first that has news. */
  readonly nth: number;
  strike(): "go on" | "cut";
}

/** What one response said that no later one repeats. */
export interface Delivered {
  readonly since: string | undefined;
  readonly nextBatch: string;
  /** Contents of to-device messages, in order. */
  readonly toDevice: readonly unknown[];
  readonly changed: readonly string[];
  readonly left: readonly string[];
}

export interface HomeserverRelay extends AsyncDisposable {
  readonly url: string;
  arm(strike: HomeserverStrike): void;
  disarm(): void;
  /** By the token that they were asked with, in the order of the answers. */
  delivered(token: string): readonly Delivered[];
  /** `since` of all polls of the token. */
  asked(token: string): ReadonlySet<string>;
}

interface Armed extends HomeserverStrike {
  seen: number;
}

interface Board {
  armed: Armed | undefined;
  readonly delivered: Map<string, Delivered[]>;
  readonly asked: Map<string, Set<string>>;
}

export async function startHomeserverRelay(homeserverUrl: string): Promise<HomeserverRelay> {
  const board: Board = { armed: undefined, delivered: new Map(), asked: new Map() };
  const server = createServer((incoming, outgoing) => {
    passOn(homeserverUrl, incoming, outgoing, board).catch(() => outgoing.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the relay has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    arm: (strike) => {
      board.armed = { ...strike, seen: 0 };
    },
    disarm: () => {
      board.armed = undefined;
    },
    delivered: (token) => board.delivered.get(token) ?? [],
    asked: (token) => board.asked.get(token) ?? new Set(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function passOn(base: string, incoming: IncomingMessage, outgoing: ServerResponse, board: Board): Promise<void> {
  const path = incoming.url ?? "/";
  const poll = path.includes("/sync?") ? pollOf(incoming) : undefined;
  if (poll !== undefined) note(board.asked, poll.token, poll.since);
  if (poll !== undefined && strikes(board, "asked") === "cut") return void outgoing.destroy();
  const upstream = request(`${base}${path}`, { method: incoming.method, headers: incoming.headers, agent: false });
  outgoing.on("close", () => upstream.destroy());
  incoming.pipe(upstream);
  const [answer] = (await once(upstream, "response")) as [IncomingMessage];
  const status = answer.statusCode ?? 502;
  if (poll === undefined || status !== 200) {
    outgoing.writeHead(status, answer.headers);
    answer.pipe(outgoing);
    return;
  }
  await deliver(await buffer(answer), { answer, outgoing, poll, board });
}

interface Poll {
  readonly token: string;
  readonly since: string | undefined;
}

function pollOf({ url = "", headers }: IncomingMessage): Poll {
  const since = new URL(url, "http://relay").searchParams.get("since") ?? undefined;
  return { token: (headers.authorization ?? "").replace("Bearer ", ""), since };
}

function note(asked: Map<string, Set<string>>, token: string, since: string | undefined): void {
  if (since === undefined) return;
  asked.set(token, (asked.get(token) ?? new Set()).add(since));
}

interface Delivery {
  readonly answer: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly poll: Poll;
  readonly board: Board;
}

async function deliver(body: Buffer, { answer, outgoing, poll, board }: Delivery): Promise<void> {
  const json = JSON.parse(body.toString("utf8")) as SyncBody;
  const { since, token } = poll;
  const toDevice = (json.to_device?.events ?? []).map(({ content }) => content);
  const { changed = [], left = [] } = json.device_lists ?? {};
  const said = { since, nextBatch: json.next_batch, toDevice, changed, left };
  const known = board.delivered.get(token);
  if (known === undefined) board.delivered.set(token, [said]);
  else known.push(said);
  const hasNews = toDevice.length + changed.length + Object.keys(json.rooms?.join ?? {}).length > 0;
  const strike = (point: Point) => (hasNews ? strikes(board, point) : "go on");
  if (strike("computed") === "cut") return void outgoing.destroy();
  outgoing.writeHead(200, { "content-type": answer.headers["content-type"], "content-length": body.length });
  const half = Math.floor(body.length / 2);
  await new Promise<void>((resolve) => outgoing.write(body.subarray(0, half), () => resolve()));
  if (strike("part") === "cut") return void outgoing.destroy();
  await new Promise<void>((resolve) => outgoing.end(body.subarray(half), resolve));
  strike("delivered");
}

function strikes(board: Board, point: Point): "go on" | "cut" {
  const { armed } = board;
  if (armed === undefined || armed.point !== point) return "go on";
  armed.seen += 1;
  if (armed.seen < armed.nth) return "go on";
  board.armed = undefined;
  return armed.strike();
}
