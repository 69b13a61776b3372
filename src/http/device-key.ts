import type { DeviceName } from "../model/calling-device.ts";

/** A map key for a device: user ids hold no NUL. */
export const deviceKey = ({ userId, deviceId }: DeviceName): string => `${userId}\0${deviceId}`;
