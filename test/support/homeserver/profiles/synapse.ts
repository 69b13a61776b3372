import type { Profile } from "../profile.ts";
import { synapseTokens } from "../token-format.ts";

const SYNAPSE_FEATURES = {
  "org.matrix.label_based_filtering": true,
  "org.matrix.e2e_cross_signing": true,
  "org.matrix.msc2432": true,
  "uk.half-shot.msc2666.query_mutual_rooms.stable": true,
  "org.matrix.msc3026.busy_presence": false,
  "org.matrix.msc2285.stable": true,
  "org.matrix.msc3827.stable": true,
  "org.matrix.msc3440.stable": true,
  "org.matrix.msc3771": true,
  "org.matrix.msc3773": false,
  "org.matrix.msc3981": true,
  "org.matrix.msc4140": false,
  // What Synapse says when its own sliding sync is switched off.
  "org.matrix.simplified_msc3575": false,
  "uk.tcpip.msc4133.stable": true,
  "org.matrix.msc4445.initial_sync_timeline_topological_ordering": true,
};

const RELEASES = ["r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1"];
const MINOR_VERSIONS = 12;

/** Synapse 1.157, as it was recorded. */
export const synapse: Profile = {
  name: "synapse",
  serverHeader: "Synapse/1.157.1",
  versions: {
    versions: [...RELEASES, ...Array.from({ length: MINOR_VERSIONS }, (_, index) => `v1.${index + 1}`)],
    unstable_features: SYNAPSE_FEATURES,
  },
  defaultTimelineLimit: 10,
  maxTimelineLimit: 100,
  responseCacheMs: 120_000,
  maxToDeviceMessages: 100,
  defaultRoomVersion: "10",
  lazyMemberCacheSize: 100,
  lazyMemberCacheMs: 30 * 60_000,
  tokens: synapseTokens,
  accessToken: (localpart, draw) => `syt_${Buffer.from(localpart).toString("base64url")}_${draw(20)}_${draw(6)}`,
  refusal: (isSoft) => ({
    error: isSoft ? "Access token has expired" : "Invalid access token passed.",
    more: { soft_logout: isSoft },
  }),
  hasOneCounter: false,
  waitsMs: (askedMs) => askedMs,
  leftRooms: "kicks and bans",
  stateForDeparted: "of then",
  tellsOfKnocks: true,
  endOfInvite: "the event",
  joinsForRoomData: false,
  stateAfter: "setting",
  legacyState: "before the timeline",
  timelines: {
    areFilled: true,
    hideHistory: true,
    forgetLimitWhenHiding: false,
    reachBackOnJoin: true,
    order: "by depth",
    tellOfGaps: true,
    bundles: "when limited",
    tellMembership: true,
  },
  members: {
    areRepeatedOnRequest: true,
    areLazyInEncryptedRooms: true,
    maxForHeroes: Number.POSITIVE_INFINITY,
  },
  countsThreads: true,
  tellsCountsWithNewsOnly: false,
  deviceListRooms: "all",
  previousContent: "once it was read",
};
