import type { JsonObject } from "../json.ts";
import type { StreamToken } from "../tokens.ts";
import type { Device } from "../user.ts";

/** The device has what lies at or before the token it presents. Done before anything of the answer is computed. */
export function acknowledge(device: Device, since: StreamToken): void {
  device.inbox = device.inbox.filter(({ position }) => position > since.toDevice);
}

export interface Delivery {
  readonly messages: readonly JsonObject[];
  /** Where the next request goes on: the last message of a full delivery, else the end of the stream. */
  readonly upto: number;
}

export function deliver(device: Device, since: StreamToken | undefined, now: StreamToken, atMost: number): Delivery {
  const after = since?.toDevice ?? 0;
  const waiting = device.inbox.filter(({ position }) => position > after && position <= now.toDevice);
  const rows = waiting.slice(0, atMost);
  const last = rows.at(-1);
  const upto = rows.length === atMost && last !== undefined ? last.position : now.toDevice;
  return { messages: rows.map(({ message }) => message), upto };
}
