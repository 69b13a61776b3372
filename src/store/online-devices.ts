import { ByteCache } from "../lib/byte-cache.ts";
import { type Change, ChangeStream } from "../model/change.ts";
import type { DeviceFacts } from "../model/device-facts.ts";
import type { DeviceNid } from "../model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";

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

interface Load {
  /** Something of the device changed since it began. */
  isOvertaken: boolean;
}

/**
 * Facts of devices that ask, within a budget in bytes. A read model: a device is read whole, {@link prepare} reads it again
 * when something of it changed.
 */
export class OnlineDevices {
  readonly #db: Queryable;
  readonly #devices: ByteCache<DeviceNid, KeptDevice>;
  readonly #loading = new Map<DeviceNid, { readonly load: Load; readonly done: Promise<DeviceFacts> }>();

  constructor(db: Queryable, maxBytes: number) {
    this.#db = db;
    this.#devices = new ByteCache({ maxBytes });
  }

  /** undefined: the device is not in memory. */
  peek(device: DeviceNid): DeviceFacts | undefined {
    return this.#devices.get(device);
  }

  /** Facts of a device, read when they are not in memory. */
  async get(device: DeviceNid): Promise<DeviceFacts> {
    const known = this.#devices.get(device);
    if (known !== undefined) return known;
    const running = this.#loading.get(device);
    if (running !== undefined) return await running.done;
    const load = { isOvertaken: false };
    const done = this.#load(device, load);
    this.#loading.set(device, { load, done });
    try {
      return await done;
    } finally {
      this.#loading.delete(device);
    }
  }

  /** Reads devices in memory again of which something changed. The result takes them in, in one step. */
  async prepare(changes: readonly Change[]): Promise<() => void> {
    const stale = new Set<DeviceNid>();
    for (const { stream, deviceNid } of changes) {
      if (deviceNid === undefined || !DEVICE_STREAMS.has(stream)) continue;
      const running = this.#loading.get(deviceNid);
      if (running !== undefined) running.load.isOvertaken = true;
      if (this.#devices.peek(deviceNid) !== undefined) stale.add(deviceNid);
    }
    const devices = await selectDeviceFacts(this.#db, [...stale]);
    return () => {
      for (const [device, facts] of devices) if (this.#devices.peek(device) !== undefined) this.#keep(device, facts);
    };
  }

  /** A change that comes while the device is read may be missing from what was read, so it is read again until none did. */
  async #load(device: DeviceNid, load: Load): Promise<DeviceFacts> {
    for (;;) {
      const facts = (await selectDeviceFacts(this.#db, [device])).get(device) ?? UNKNOWN;
      if (!load.isOvertaken) return this.#keep(device, facts);
      load.isOvertaken = false;
    }
  }

  #keep(device: DeviceNid, facts: DeviceFacts): DeviceFacts {
    const { oneTimeKeys, fallbackKeys } = facts;
    this.#devices.set(device, {
      ...facts,
      bytes: DEVICE_BYTES + (oneTimeKeys?.length ?? 0) + (fallbackKeys?.length ?? 0),
    });
    return facts;
  }
}

async function selectDeviceFacts(
  db: Queryable,
  devices: readonly DeviceNid[],
): Promise<ReadonlyMap<DeviceNid, DeviceFacts>> {
  if (devices.length === 0) return new Map();
  const rows = await db.query<Row>({ name: "device-facts", text: SELECT_FACTS, values: [devices] });
  return new Map(
    rows.map((row) => [
      row.device_nid as DeviceNid,
      {
        toDeviceHead: row.sequence ?? 0,
        listsAt: (row.lists_at ?? BEFORE_ALL) as StreamPosition,
        oneTimeKeys: row.one_time_keys ?? undefined,
        fallbackKeys: row.fallback_keys ?? undefined,
        fewerKeysAt: (row.fewer_keys_at ?? BEFORE_ALL) as StreamPosition,
      },
    ]),
  );
}
