import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "pg";
import { invariant } from "../lib/invariant.ts";
import type { Connect } from "./connect.ts";
import { typedError } from "./database-errors.ts";

/** Wait before a reconnect: doubles from the first to the second. Larger: news are late after an outage. */
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 5_000;
/** How often a silent connection is asked whether it lives. Larger: a network that swallows packets is noticed later. */
const HEARTBEAT_MS = 15_000;

interface Listening {
  readonly connect: Connect;
  readonly channel: string;
  readonly onMessage: (payload: string) => void;
  readonly onReconnect: () => void;
  readonly onError: (error: Error) => void;
}

/** See `Database.listen`. */
export async function listen(listening: Listening): Promise<AsyncDisposable> {
  invariant(/^[a-z_]+$/.test(listening.channel), "a channel name needs no quotes");
  const stopped = new AbortController();
  const first = await subscribe(listening);
  const following = follow(listening, first, stopped.signal);
  listening.onReconnect();
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await following;
    },
  };
}

async function subscribe({ connect, channel, onMessage }: Listening): Promise<Client> {
  const client = await connect();
  client.on("notification", (message) => {
    if (message.channel === channel) onMessage(message.payload ?? "");
  });
  try {
    await client.query(`LISTEN ${channel}`);
  } catch (error) {
    client.end().catch(() => {});
    throw typedError(error);
  }
  return client;
}

/** Keeps the subscription until it is stopped. */
async function follow(listening: Listening, first: Client, stopped: AbortSignal): Promise<void> {
  let client = first;
  for (;;) {
    await untilLost(client, stopped);
    client.removeAllListeners("notification");
    await client.end().catch(() => {});
    if (stopped.aborted) return;
    const next = await reconnect(listening, stopped);
    if (next === undefined) return;
    client = next;
    listening.onReconnect();
  }
}

async function reconnect(listening: Listening, stopped: AbortSignal): Promise<Client | undefined> {
  for (let pauseMs = FIRST_PAUSE_MS; !stopped.aborted; pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs)) {
    try {
      return await subscribe(listening);
    } catch (error) {
      listening.onError(typedError(error));
      await pause(pauseMs, undefined, { signal: stopped }).catch(() => {});
    }
  }
  return undefined;
}

function untilLost(client: Client, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let isAnswered = true;
    const heartbeat = setInterval(() => {
      if (!isAnswered) return lost();
      isAnswered = false;
      client.query("SELECT 1").then(() => {
        isAnswered = true;
      }, lost);
    }, HEARTBEAT_MS);
    const lost = () => {
      clearInterval(heartbeat);
      stopped.removeEventListener("abort", lost);
      resolve();
    };
    client.once("end", lost);
    client.once("error", lost);
    stopped.addEventListener("abort", lost);
    if (stopped.aborted) lost();
  });
}
