import type { StreamPosition } from "./stream-position.ts";

/** What is known of one device beside its user's rooms. */
export interface DeviceFacts {
  /** The highest sequence of a to-device message that was ever stored for it; 0: none was. */
  readonly toDeviceHead: number;
  /** When its device lists changed last. */
  readonly listsAt: StreamPosition;
  /** `device_one_time_keys_count`, a raw JSON object; undefined: not known yet. */
  readonly oneTimeKeys: Buffer | undefined;
  /** `device_unused_fallback_key_types`, a raw JSON array; undefined: not known yet, or the homeserver has none. */
  readonly fallbackKeys: Buffer | undefined;
  /** When there were fewer keys than before, or keys became known. */
  readonly fewerKeysAt: StreamPosition;
}
