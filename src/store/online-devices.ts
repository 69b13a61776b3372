import { type Change, ChangeStream } from "../model/change.ts";
import type { DeviceFacts } from "../model/device-facts.ts";
import type { DeviceNid } from "../model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";
import { KeptReads } from "./kept-reads.ts";

const DEVICE_STREAMS: ReadonlySet<ChangeStream> = new Set([
  ChangeStream.toDevice,
  ChangeStream.deviceLists,
  ChangeStream.keys,
]);

/** What a device weighs beside its keys; an estimate that errs upwards. */
const DEVICE_BYTES = 400;

const SELECT_FACTS = `
  SELECT d.device_nid, d.one_time_keys, d.fallback_keys, h.sequence,
         (SELECT c.position FROM changes AS c
           WHERE c.device_nid = d.device_nid AND c.stream = ${ChangeStream.deviceLists}
           ORDER BY c.position DESC LIMIT 1) AS lists_at,
         (SELECT c.position FROM changes AS c
           WHERE c.device_nid = d.device_nid AND c.stream = ${ChangeStream.keys} AND c.flags <> 0
           ORDER BY c.position DESC LIMIT 1) AS fewer_keys_at
    FROM devices AS d LEFT JOIN to_device_heads AS h ON h.device_nid = d.device_nid
   WHERE d.device_nid = ANY($1::int[])`;

interface Row {
  readonly device_nid: number;
  readonly one_time_keys: Buffer | null;
  readonly fallback_keys: Buffer | null;
  readonly sequence: number | null;
  readonly lists_at: number | null;
  readonly fewer_keys_at: number | null;
}

const UNKNOWN: DeviceFacts = {
  toDeviceHead: 0,
  listsAt: BEFORE_ALL,
  oneTimeKeys: undefined,
  fallbackKeys: undefined,
  fewerKeysAt: BEFORE_ALL,
};

type KeptDevice = DeviceFacts & { readonly bytes: number };

/** Facts of devices that ask, within a budget in bytes. */
export class OnlineDevices {
  readonly #devices: KeptReads<DeviceNid, KeptDevice>;

  constructor(db: Queryable, maxBytes: number) {
    this.#devices = new KeptReads({ maxBytes, read: (devices) => selectDeviceFacts(db, devices) });
  }

  /** undefined: the device is not in memory. */
  peek(device: DeviceNid): DeviceFacts | undefined {
    return this.#devices.get(device);
  }

  /** Facts of a device, read when they are not in memory. */
  async get(device: DeviceNid): Promise<DeviceFacts> {
    return this.#devices.get(device) ?? (await this.#devices.load([device])).get(device) ?? UNKNOWN;
  }

  /** Reads devices in memory again of which something changed. The result takes them in, in one step. */
  async prepare(changes: readonly Change[]): Promise<() => void> {
    return await this.#devices.prepare(
      changes.flatMap(({ stream, deviceNid }) =>
        deviceNid !== undefined && DEVICE_STREAMS.has(stream) ? [deviceNid] : [],
      ),
    );
  }
}

async function selectDeviceFacts(
  db: Queryable,
  devices: readonly DeviceNid[],
): Promise<ReadonlyMap<DeviceNid, KeptDevice>> {
  const rows = await db.query<Row>({ name: "device-facts", text: SELECT_FACTS, values: [devices] });
  const known = new Map(rows.map((row) => [row.device_nid as DeviceNid, factsOf(row)]));
  return new Map(devices.map((device) => [device, weighed(known.get(device) ?? UNKNOWN)]));
}

const factsOf = (row: Row): DeviceFacts => ({
  toDeviceHead: row.sequence ?? 0,
  listsAt: (row.lists_at ?? BEFORE_ALL) as StreamPosition,
  oneTimeKeys: row.one_time_keys ?? undefined,
  fallbackKeys: row.fallback_keys ?? undefined,
  fewerKeysAt: (row.fewer_keys_at ?? BEFORE_ALL) as StreamPosition,
});

const weighed = (facts: DeviceFacts): KeptDevice => ({
  ...facts,
  bytes: DEVICE_BYTES + (facts.oneTimeKeys?.length ?? 0) + (facts.fallbackKeys?.length ?? 0),
});
