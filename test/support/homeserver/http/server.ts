import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Effect, Fault, Faults } from "../faults.ts";
import { isObject, type JsonObject } from "../json.ts";
import { MatrixError } from "../matrix-error.ts";
import type { RequestLog } from "../request-log.ts";
import type { World } from "../world.ts";
import { type AuthedCall, type Call, json, type Reply } from "./reply.ts";
import type { Router } from "./router.ts";
import { send } from "./send.ts";

export interface ServerParts {
  readonly world: World;
  readonly router: Router;
  /** Served without faults, and not written to the log. */
  readonly control: Router;
  readonly faults: Faults;
  readonly log: RequestLog;
}

export interface Listening extends AsyncDisposable {
  readonly port: number;
}

export async function listen(parts: ServerParts, port: number): Promise<Listening> {
  const server = createServer((request, response) => {
    serve(parts, request, response).catch((error: unknown) => {
      console.error("homeserver: request failed", error);
      response.destroy();
    });
  });
  // A client that keeps its connection must not be cut off by a default meant for the open internet.
  server.keepAliveTimeout = 60_000;
  server.requestTimeout = 0;
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: () => close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

async function serve(parts: ServerParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const url = new URL(request.url ?? "/", "http://localhost");
  const isControl = url.pathname.startsWith("/_control/");
  const token = tokenOf(request, url);
  const device = token === undefined ? undefined : parts.world.access.get(token)?.device;
  const subject = {
    method: request.method ?? "GET",
    path: url.pathname,
    userId: device?.user.userId,
    deviceId: device?.deviceId,
    hasSince: url.searchParams.has("since"),
  };
  const faults = isControl ? [] : parts.faults.meet(subject);
  const entry = isControl ? undefined : parts.log.begin(subject, url, request.headers);
  try {
    const text = await readBody(request);
    const effects = faults.map(({ effect }) => effect);
    await wait(faults, gone.signal);
    if (gone.signal.aborted) return;
    if (effects.some((effect) => effect.resetAfterBytes === 0)) {
      response.socket?.resetAndDestroy();
      return;
    }
    const call: Call = {
      method: subject.method,
      path: url.pathname,
      query: url.searchParams,
      params: {},
      body: {},
      headers: request.headers,
      signal: gone.signal,
      effects,
    };
    const reply =
      scripted(effects) ?? (await answer(parts, isControl ? parts.control : parts.router, call, { token, text }));
    entry?.answered(reply.status);
    if (gone.signal.aborted) return;
    await send(response, reply, { effects, headers: headersOf(parts, effects), signal: gone.signal });
  } finally {
    entry?.end();
  }
}

async function wait(faults: readonly Fault[], signal: AbortSignal): Promise<void> {
  for (const { effect, released } of faults) {
    if (effect.hang === true) await Promise.race([released, aborted(signal)]);
    if (effect.delayMs !== undefined) await sleep(effect.delayMs, undefined, { signal }).catch(() => undefined);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function scripted(effects: readonly Effect[]): Reply | undefined {
  const reply = effects.find((effect) => effect.reply !== undefined)?.reply;
  if (reply === undefined) return undefined;
  const isText = typeof reply.body === "string";
  const contentType = reply.contentType ?? (isText ? "text/html" : "application/json");
  return { status: reply.status, contentType, body: [isText ? String(reply.body) : JSON.stringify(reply.body)] };
}

function headersOf({ world }: ServerParts, effects: readonly Effect[]): Record<string, string> {
  const scriptedHeaders = effects.map((effect) => effect.reply?.headers ?? {});
  return Object.assign({ server: world.profile.serverHeader, "cache-control": "no-cache" }, ...scriptedHeaders);
}

interface Sent {
  readonly token: string | undefined;
  readonly text: string;
}

async function answer(parts: ServerParts, router: Router, call: Call, { token, text }: Sent): Promise<Reply> {
  try {
    const route = router.find(call.method, call.path);
    if (route === undefined) throw new MatrixError(404, "M_UNRECOGNIZED", "Unrecognized request");
    const found = { ...call, params: route.params, body: parseBody(text) };
    return route.needsToken ? await route.answer(authenticate(parts.world, found, token)) : await route.answer(found);
  } catch (error) {
    if (error instanceof MatrixError) return json(error.body, error.status);
    console.error(`homeserver: ${call.method} ${call.path}`, error);
    return json({ errcode: "M_UNKNOWN", error: "Internal server error" }, 500);
  }
}

function authenticate(world: World, call: Call, token: string | undefined): AuthedCall {
  if (token === undefined) throw new MatrixError(401, "M_MISSING_TOKEN", "Missing access token");
  const access = world.access.get(token);
  if (access === undefined || access.softLogout !== undefined) {
    const isSoft = access?.softLogout ?? false;
    const { error, more } = world.profile.refusal(isSoft);
    throw new MatrixError(401, "M_UNKNOWN_TOKEN", error, more);
  }
  return { ...call, device: access.device, token };
}

function tokenOf(request: IncomingMessage, url: URL): string | undefined {
  const [, bearer] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
  return bearer ?? url.searchParams.get("access_token") ?? undefined;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function parseBody(text: string): JsonObject {
  if (text === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new MatrixError(400, "M_NOT_JSON", "Content not JSON.");
  }
  if (!isObject(body)) throw new MatrixError(400, "M_BAD_JSON", "Content must be a JSON object.");
  return body;
}
