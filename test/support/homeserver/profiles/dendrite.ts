import type { Profile } from "../profile.ts";
import { dendriteTokens } from "../token-format.ts";

const MINOR_VERSIONS = 2;

/** Dendrite as of May 2026, from its source: the streams of its sync API, its request pool, and its README. */
export const dendrite: Profile = {
  name: "dendrite",
  serverHeader: "Dendrite",
  versions: {
    versions: ["r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.1", "v1.0"].concat(
      Array.from({ length: MINOR_VERSIONS }, (_, index) => `v1.${index + 1}`),
    ),
    // Dendrite has no sliding sync, and says nothing of it.
    unstable_features: { "org.matrix.e2e_cross_signing": true, "org.matrix.msc2285.stable": true },
  },
  // Dendrite's default filter has 20 events, and no filter has too many.
  defaultTimelineLimit: 20,
  maxTimelineLimit: Number.POSITIVE_INFINITY,
  // Dendrite has no response cache.
  responseCacheMs: 0,
  // Dendrite gives out the whole queue of a device.
  maxToDeviceMessages: Number.POSITIVE_INFINITY,
  defaultRoomVersion: "10",
  // Dendrite's cache is by device, room and user; a first sync empties it.
  lazyMemberCacheSize: Number.POSITIVE_INFINITY,
  lazyMemberCacheMs: 30 * 60_000,
  tokens: dendriteTokens,
  accessToken: (_localpart, draw) => draw(43),
  // Dendrite has no refresh tokens, so that no logout is soft.
  refusal: () => ({ error: "Unknown token", more: {} }),
  // Dendrite counts nine streams.
  hasOneCounter: false,
  waitsMs: (askedMs) => askedMs,
  // Dendrite reads `include_leave` and does nothing with it: a first sync has the rooms of join and invite alone.
  leftRooms: "none",
  // Dendrite looks at the reader's membership only where the world may not read the room.
  stateForDeparted: "of then, or open",
  tellsOfKnocks: false,
  // Dendrite's invite stream writes a leave of its own for an invite that is gone, over what the room's events say.
  endOfInvite: "an invented timeline event",
  // Dendrite's account data stream makes the section when the room's events did not, whoever is in the room.
  joinsForRoomData: true,
  stateAfter: "never",
  // Dendrite takes current state, or the changes in the range, and removes what stands in the timeline.
  legacyState: "of now",
  timelines: {
    // Dendrite reads one page and filters it; it says `limited` only when nothing was filtered out.
    areFilled: false,
    hideHistory: true,
    forgetLimitWhenHiding: true,
    reachBackOnJoin: true,
    order: "by depth",
    // Dendrite fetches what is missing, or goes on without a word.
    tellOfGaps: false,
    bundles: "never",
    tellMembership: false,
  },
  members: {
    // Dendrite keeps members that the timeline needs in its cache, whatever the filter says of redundant ones.
    areRepeatedOnRequest: false,
    areLazyInEncryptedRooms: true,
    maxForHeroes: Number.POSITIVE_INFINITY,
  },
  countsThreads: false,
  tellsCountsWithNewsOnly: false,
  deviceListRooms: "all",
  previousContent: "always",
};
