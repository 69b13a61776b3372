import type { Clock } from "../clock.ts";
import type { Profile } from "../profile.ts";
import type { Device } from "../user.ts";

/**
 * Which member event a device was last sent for a user, over all rooms. It does not know tokens: who replays an
 * old `since` is not sent again what an earlier answer carried.
 */
export interface LazyMembers {
  wasSent(userId: string, eventId: string): boolean;
  note(userId: string, eventId: string): void;
  clear(): void;
}

export interface LazyMemberCaches {
  of(device: Device): LazyMembers;
}

export function createLazyMemberCaches(clock: Clock, profile: Profile): LazyMemberCaches {
  const caches = new Map<string, { readonly madeMs: number; readonly members: LazyMembers }>();
  return {
    of: (device) => {
      const key = `${device.user.userId} ${device.deviceId}`;
      const known = caches.get(key);
      if (known !== undefined && clock.nowMs() - known.madeMs < profile.lazyMemberCacheMs) return known.members;
      const members = createLazyMembers(profile.lazyMemberCacheSize);
      caches.set(key, { madeMs: clock.nowMs(), members });
      return members;
    },
  };
}

function createLazyMembers(size: number): LazyMembers {
  // In the order of use, the least recent first.
  const sent = new Map<string, string>();
  const touch = (userId: string, eventId: string) => {
    sent.delete(userId);
    sent.set(userId, eventId);
  };
  return {
    wasSent: (userId, eventId) => {
      const known = sent.get(userId);
      if (known !== undefined) touch(userId, known);
      return known === eventId;
    },
    note: (userId, eventId) => {
      touch(userId, eventId);
      const [oldest] = sent.keys();
      if (sent.size > size && oldest !== undefined) sent.delete(oldest);
    },
    clear: () => sent.clear(),
  };
}
