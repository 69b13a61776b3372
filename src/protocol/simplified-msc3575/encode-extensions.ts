import type { E2eeAnswer, ExtensionsResponse, ToDeviceAnswer } from "../../engine/response.ts";
import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { PieceWriter } from "../shared/piece-writer.ts";
import { toDeviceToken } from "../shared/to-device-token.ts";

/** Writes what was asked for, and no other key: matrix-js-sdk stops at one that it does not know. */
export function writeExtensions(writer: PieceWriter, { toDevice, e2ee }: ExtensionsResponse): void {
  writer.text("{");
  if (toDevice !== undefined) writeToDevice(writer, toDevice);
  if (e2ee !== undefined) {
    if (toDevice !== undefined) writer.text(",");
    writer.text(`"e2ee":${JSON.stringify(wireE2ee(e2ee))}`);
  }
  writer.text("}");
}

function writeToDevice(writer: PieceWriter, { nextBatch, events }: ToDeviceAnswer): void {
  writer.text(`"to_device":{"next_batch":"${toDeviceToken(nextBatch)}","events":[`);
  for (const [index, event] of events.entries()) {
    if (index > 0) writer.text(",");
    writer.bytes(event);
  }
  writer.text("]}");
}

const wireE2ee = ({ deviceLists, oneTimeKeys, fallbackKeys }: E2eeAnswer) => ({
  device_lists: deviceLists,
  device_one_time_keys_count: oneTimeKeys && wireCounts(oneTimeKeys),
  device_unused_fallback_key_types: fallbackKeys && wireTypes(fallbackKeys),
});

/** A client takes an algorithm that is not named for one that has as many keys as before. */
function wireCounts(bytes: Buffer): Record<string, number> {
  const counts: Record<string, number> = Object.assign(Object.create(null), { signed_curve25519: 0 });
  const known = parseJson(bytes);
  for (const [algorithm, count] of Object.entries(isJsonObject(known) ? known : {})) {
    if (Number.isSafeInteger(count) && Number(count) >= 0) counts[algorithm] = Number(count);
  }
  return counts;
}

function wireTypes(bytes: Buffer): readonly string[] {
  const types = parseJson(bytes);
  return Array.isArray(types) ? types.filter((type) => typeof type === "string") : [];
}
