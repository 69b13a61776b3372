import { parseJson } from "../../lib/json-value.ts";
import { ChangeFlag, ChangeStream } from "../../model/change.ts";
import type { Tx } from "../../store/database.ts";
import { advanceSince, appendDeviceLists, appendToDevice, type DeviceRow } from "../../store/device-stream.ts";
import { forgetAnnounced } from "../../store/first-window.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ResponsePart } from "./part.ts";
import type { Numbers } from "./source.ts";

/** The statements that end a response, and what they bring. */
export interface ResponseEndWrites {
  readonly changes: readonly NewChange[];
  readonly written: Promise<unknown>;
}

/**
 * Stores what is the device's own and ends a response, and moves the stream on: in the transaction that stores the last
 * rooms. `device` is locked.
 */
export function storeEnd(
  tx: Tx,
  part: ResponsePart,
  device: DeviceRow | undefined,
  numbers: Numbers,
): ResponseEndWrites {
  const { claim, source, end } = part;
  if (end === undefined) return { changes: [], written: Promise.resolve() };
  const { userNid } = source;
  const { deviceNid } = claim;
  const { toDevice, deviceLists, oneTimeKeys, fallbackKeys } = end.rest;
  const change = (stream: ChangeStream, flags = 0): NewChange => ({
    batch: numbers.batch(),
    stream,
    userNid,
    deviceNid,
    flags,
  });
  const hasLists = deviceLists.changed.length + deviceLists.left.length > 0;
  const messages = toDevice.length > 0 ? change(ChangeStream.toDevice) : undefined;
  const lists = hasLists ? change(ChangeStream.deviceLists) : undefined;
  const isNew = differs(oneTimeKeys, device?.oneTimeKeys) || differs(fallbackKeys, device?.fallbackKeys);
  const hasFewer = hasFewerKeys(oneTimeKeys, device?.oneTimeKeys) || lacksType(fallbackKeys, device?.fallbackKeys);
  const keys = isNew ? change(ChangeStream.keys, hasFewer ? ChangeFlag.fewerKeys : 0) : undefined;
  const synced = source.poll === "live" ? undefined : change(ChangeStream.synced);
  // What was announced ahead of the first sync no longer counts.
  const whole = source.poll === "first" ? { ...change(ChangeStream.membership), deviceNid: undefined } : undefined;
  const written = Promise.all([
    advanceSince(tx, { deviceNid, to: end.since.to, oneTimeKeys, fallbackKeys, keysBatch: keys?.batch }),
    messages && appendToDevice(tx, deviceNid, toDevice, messages.batch),
    lists && appendDeviceLists(tx, deviceNid, deviceLists, lists.batch),
    whole && forgetAnnounced(tx, userNid),
  ]);
  return { changes: [messages, lists, keys, whole, synced].filter((each) => each !== undefined), written };
}

/** undefined: nothing is said, so it is as before. */
const differs = (said: Buffer | undefined, known: Buffer | undefined): boolean =>
  said !== undefined && (known === undefined || !said.equals(known));

/** An algorithm has fewer keys than before, or nothing was known. */
function hasFewerKeys(said: Buffer | undefined, known: Buffer | undefined): boolean {
  if (said === undefined || known === undefined) return said !== undefined;
  const now = Object(parseJson(said));
  return Object.entries(Object(parseJson(known))).some(
    ([algorithm, count]) => Number(now[algorithm] ?? 0) < Number(count),
  );
}

/** A type of fallback key was used, or nothing was known. */
function lacksType(said: Buffer | undefined, known: Buffer | undefined): boolean {
  if (said === undefined || known === undefined) return said !== undefined;
  const [now, before] = [parseJson(said), parseJson(known)];
  return Array.isArray(now) && Array.isArray(before) && before.some((type) => !now.includes(type));
}
