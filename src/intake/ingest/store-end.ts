import { ChangeStream } from "../../model/change.ts";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import type { Tx } from "../../store/database.ts";
import { advanceSince, appendDeviceLists, appendToDevice } from "../../store/device-stream.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ResponsePart } from "./part.ts";
import type { Numbers } from "./source.ts";

export interface StoredEnd {
  readonly changes: readonly NewChange[];
  /** Everything at or below it was stored before. */
  readonly head: StreamPosition;
}

const NOTHING: StoredEnd = { changes: [], head: BEFORE_ALL };

/** Stores what is the device's own and ends a response, and moves the stream on: in the transaction that stores the last rooms. */
export async function storeEnd(tx: Tx, part: ResponsePart, numbers: Numbers): Promise<StoredEnd> {
  const { claim, source, end } = part;
  if (end === undefined) return NOTHING;
  const { userNid } = source;
  const { deviceNid } = claim;
  const { toDevice, deviceLists, oneTimeKeys, fallbackKeys } = end.rest;
  const change = (stream: ChangeStream): NewChange => ({
    batch: numbers.batch(),
    stream,
    userNid,
    deviceNid,
    flags: 0,
  });
  const hasLists = deviceLists.changed.length + deviceLists.left.length > 0;
  const messages = toDevice.length > 0 ? change(ChangeStream.toDevice) : undefined;
  const lists = hasLists ? change(ChangeStream.deviceLists) : undefined;
  const keys = change(ChangeStream.keys);
  const [advanced] = await Promise.all([
    advanceSince(tx, { claim, ...end.since, oneTimeKeys, fallbackKeys, keysBatch: keys.batch }),
    messages && appendToDevice(tx, deviceNid, toDevice, messages.batch),
    lists && appendDeviceLists(tx, deviceNid, deviceLists, lists.batch),
  ]);
  const synced = source.poll === "live" ? undefined : change(ChangeStream.synced);
  const all = [messages, lists, advanced.hasNewKeys ? keys : undefined, synced];
  return { changes: all.filter((each) => each !== undefined), head: advanced.head };
}
