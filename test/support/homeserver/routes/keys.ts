import { touchDeviceList } from "../accounts.ts";
import { json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { isObject, type JsonObject, objectOr } from "../json.ts";
import type { Device } from "../user.ts";
import type { World } from "../world.ts";

export function addKeyRoutes(router: Router, world: World): void {
  router.authed("POST", "/client/keys/upload", ({ device, body }) => {
    const isNew = isObject(body.device_keys) && JSON.stringify(body.device_keys) !== JSON.stringify(device.deviceKeys);
    if (isObject(body.device_keys)) device.deviceKeys = body.device_keys;
    for (const [keyId, key] of Object.entries(objectOr(body.one_time_keys))) device.oneTimeKeys.set(keyId, key);
    for (const [keyId, key] of Object.entries(objectOr(body.fallback_keys))) {
      device.fallbackKeys.set(algorithmOf(keyId), { keyId, key, used: false });
    }
    if (isNew) touchDeviceList(world, device.user);
    return json({ one_time_key_counts: device.oneTimeKeyCounts() });
  });
  router.authed("POST", "/client/keys/query", ({ body }) => {
    const asked = Object.entries(objectOr(body.device_keys));
    const deviceKeys = asked.map(([userId, deviceIds]) => [userId, keysOf(world, userId, deviceIds)]);
    const crossSigning = { master_keys: {}, self_signing_keys: {}, user_signing_keys: {} };
    return json({ device_keys: Object.fromEntries(deviceKeys), failures: {}, ...crossSigning });
  });
  router.authed("POST", "/client/keys/claim", ({ body }) => {
    const claimed: Record<string, JsonObject> = {};
    for (const [userId, devices] of Object.entries(objectOr(body.one_time_keys))) {
      for (const [deviceId, algorithm] of Object.entries(objectOr(devices))) {
        const device = world.users.get(userId)?.devices.get(deviceId);
        const key = device === undefined ? undefined : claim(device, String(algorithm));
        if (key !== undefined) claimed[userId] = { ...claimed[userId], [deviceId]: key };
      }
    }
    return json({ one_time_keys: claimed, failures: {} });
  });
}

function keysOf(world: World, userId: string, deviceIds: unknown): JsonObject {
  const wanted = Array.isArray(deviceIds) && deviceIds.length > 0 ? deviceIds : undefined;
  const devices = [...(world.users.get(userId)?.devices.values() ?? [])];
  const known = devices.filter(
    (device) => device.deviceKeys !== undefined && (wanted?.includes(device.deviceId) ?? true),
  );
  return Object.fromEntries(known.map((device) => [device.deviceId, { ...device.deviceKeys, unsigned: {} }]));
}

/** A one-time key is gone once claimed; when all are gone the fallback key is given, and stays. */
function claim(device: Device, algorithm: string): JsonObject | undefined {
  const found = [...device.oneTimeKeys].find(([keyId]) => algorithmOf(keyId) === algorithm);
  if (found !== undefined) {
    device.oneTimeKeys.delete(found[0]);
    return { [found[0]]: found[1] };
  }
  const fallback = device.fallbackKeys.get(algorithm);
  if (fallback === undefined) return undefined;
  fallback.used = true;
  return { [fallback.keyId]: fallback.key };
}

function algorithmOf(keyId: string): string {
  return keyId.slice(0, keyId.indexOf(":"));
}
