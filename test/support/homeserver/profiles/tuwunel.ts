import type { Profile } from "../profile.ts";
import { tuwunelTokens } from "../token-format.ts";

const MINOR_VERSIONS = 15;

/** tuwunel's `client_sync_timeout_min` and `client_sync_timeout_max` as they are without configuration. */
const SHORTEST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 90_000;

/** tuwunel 1.9, of the Conduit family, from its source: its v3 sync, its lazy loading, its configuration. */
export const tuwunel: Profile = {
  name: "tuwunel",
  serverHeader: "Tuwunel",
  versions: {
    versions: ["r0.0.1", "r0.5.0", "r0.6.0", "r0.6.1"].concat(
      Array.from({ length: MINOR_VERSIONS }, (_, index) => `v1.${index + 1}`),
    ),
    // tuwunel always says that it has sliding sync and MSC4222.
    unstable_features: { "org.matrix.simplified_msc3575": true, "org.matrix.msc4222": true },
  },
  defaultTimelineLimit: 10,
  maxTimelineLimit: 100,
  // tuwunel has no response cache.
  responseCacheMs: 0,
  // tuwunel gives out the whole queue of a device.
  maxToDeviceMessages: Number.POSITIVE_INFINITY,
  defaultRoomVersion: "11",
  lazyMemberCacheSize: Number.POSITIVE_INFINITY,
  lazyMemberCacheMs: Number.POSITIVE_INFINITY,
  tokens: tuwunelTokens,
  accessToken: (_localpart, draw) => draw(32),
  refusal: (isSoft) => ({ error: "Unknown access token.", more: isSoft ? { soft_logout: true } : {} }),
  // tuwunel numbers events, receipts, account data, messages and keys with one counter; a token is its value.
  hasOneCounter: true,
  // tuwunel lets nobody come back at once without news, be it that they asked for it.
  waitsMs: (askedMs) => Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, askedMs)),
  leftRooms: "those asked for",
  // tuwunel shows state to who is in the room, and to everybody where the world may read it.
  stateForDeparted: "open",
  tellsOfKnocks: true,
  // tuwunel invents a leave for rooms that it does not have, and puts it into the state.
  endOfInvite: "an invented state event",
  joinsForRoomData: false,
  stateAfter: "always",
  legacyState: "before the timeline",
  timelines: {
    // tuwunel reads one page, of what arrived since the token, and takes ignored users out of it.
    areFilled: false,
    // tuwunel's v2 sync does not look at history visibility.
    hideHistory: false,
    forgetLimitWhenHiding: false,
    reachBackOnJoin: false,
    order: "as arrived",
    tellOfGaps: false,
    bundles: "always",
    tellMembership: true,
  },
  members: {
    areRepeatedOnRequest: true,
    // tuwunel tells all members of encrypted rooms.
    areLazyInEncryptedRooms: false,
    // tuwunel names heroes in rooms of up to five.
    maxForHeroes: 5,
  },
  countsThreads: true,
  tellsCountsWithNewsOnly: true,
  // tuwunel tells of devices where encryption makes them matter.
  deviceListRooms: "encrypted",
  previousContent: "in timelines",
};
