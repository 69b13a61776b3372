import type { Registry } from "prom-client";
import { counter, gauge, histogram } from "./instruments.ts";

/** Wire forms of the sync request, as a label. */
const DIALECTS = ["msc3575", "simplified-msc3575", "v4"] as const;

/** From a look-up in memory to an answer that had to be read from a cold database; in seconds. */
const COMPUTE_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Fine from 5 to 50 ms, where the target for an event's way through Slidecar lies; in seconds. */
const UPSTREAM_TO_ANSWER_BUCKETS = [
  0.001, 0.002, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

/** From an empty poll without wait to an initial sync that takes the homeserver half an hour; in seconds. */
const POLL_BUCKETS = [0.05, 0.25, 1, 5, 15, 30, 35, 60, 120, 300, 900, 1800];

/** From one live row to a batch of whole rooms; in seconds. */
const TRANSACTION_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Around the 2 ms for which the lock may be held; in seconds. */
const POSITION_LOCK_BUCKETS = [0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * All metrics, registered. Each label value is declared here and starts at zero, so that a rate is known before the first
 * event. Ids never become labels; they go to the log.
 */
export function createMetrics(registry: Registry) {
  return {
    ...syncMetrics(registry),
    ...waitMetrics(registry),
    ...intakeMetrics(registry),
    ...fetchMetrics(registry),
    ...storeMetrics(registry),
  };
}

function waitMetrics(registry: Registry) {
  return {
    waitingRequests: gauge(registry, {
      name: "slidecar_waiting_requests",
      help: "Sync requests that wait for news now.",
      labels: {},
    }),
    historyWaits: counter(registry, {
      name: "slidecar_history_waits_total",
      help: "Answers that waited for history that a subscribed room lacks: until it came or turned out not to come, or in vain.",
      labels: { outcome: ["settled", "late"] },
    }),
    recallWaits: counter(registry, {
      name: "slidecar_recall_waits_total",
      help:
        "Answers with nothing to say that waited for a room that a client subscribes to and that its user may have left: until that " +
        "was known, or in vain.",
      labels: { outcome: ["settled", "late"] },
    }),
    heldAnswers: counter(registry, {
      name: "slidecar_held_answers_total",
      help:
        "Sync requests for which a room was kept back, because its reader had just sent something there and the stream of the " +
        "reader's device had not told yet whether from there; or because only somebody who ignores others had been told what is " +
        "new there, so that something might have been missing. For a second at most.",
      labels: {},
    }),
  };
}

function syncMetrics(registry: Registry) {
  return {
    syncRequests: counter(registry, {
      name: "slidecar_sync_requests_total",
      help:
        "Sync requests by how they ended: news, or no news until the timeout; unknown_pos, rejected for another fault " +
        "of the client, superseded by a newer request of its connection, gone with the client, failed.",
      labels: {
        dialect: DIALECTS,
        outcome: ["news", "timeout", "unknown_pos", "rejected", "superseded", "gone", "failed"],
      },
    }),
    syncComputeSeconds: histogram(registry, {
      name: "slidecar_sync_compute_seconds",
      help: "Time to compute one answer, without the wait for news.",
      labels: { dialect: DIALECTS, kind: ["initial", "delta"] },
      buckets: COMPUTE_BUCKETS,
    }),
    upstreamToAnswerSeconds: histogram(registry, {
      name: "slidecar_upstream_to_answer_seconds",
      help:
        "From the end of the homeserver's response that brought news to the start of the answer that tells them. Answers " +
        "for which a room was kept back are left out.",
      labels: {},
      buckets: UPSTREAM_TO_ANSWER_BUCKETS,
    }),
    unknownPositions: counter(registry, {
      name: "slidecar_connections_unknown_pos_total",
      help:
        "Requests answered with M_UNKNOWN_POS: the pos was garbage, its connection is gone, the position was left " +
        "behind, or the device-list log no longer reaches back to it.",
      labels: { reason: ["malformed", "no_connection", "superseded", "device_lists"] },
    }),
    whoami: counter(registry, {
      name: "slidecar_whoami_total",
      help: "Access tokens looked up: in memory, or at the homeserver, which knew them, refused them or failed.",
      labels: { outcome: ["cached", "valid", "invalid", "failed"] },
    }),
    passthroughRequests: counter(registry, {
      name: "slidecar_passthrough_requests_total",
      help:
        "Requests passed on to the homeserver: answered by it, failed on the way, left by the client, or refused by " +
        "Slidecar.",
      labels: { outcome: ["answered", "failed", "gone", "refused"] },
    }),
  };
}

function intakeMetrics(registry: Registry) {
  return {
    pollers: gauge(registry, {
      name: "slidecar_pollers",
      help: "Devices whose upstream /sync is being polled now.",
      labels: {},
    }),
    firstWindows: counter(registry, {
      name: "slidecar_first_windows_total",
      help: "Devices whose first rooms were stored ahead of their first sync, which took the homeserver long.",
      labels: {},
    }),
    firstSyncBytes: counter(registry, {
      name: "slidecar_first_sync_bytes_total",
      help: "Bytes of first syncs of devices that have arrived, those included that are still arriving.",
      labels: {},
    }),
    firstSyncRooms: counter(registry, {
      name: "slidecar_first_sync_rooms_total",
      help: "Rooms of first syncs of devices that have arrived, those included that are still arriving.",
      labels: {},
    }),
    polls: counter(registry, {
      name: "slidecar_polls_total",
      help:
        "Upstream polls: with news, empty, refused because of the token (401, 403), limited (429), failed otherwise, " +
        "aborted by us.",
      labels: { outcome: ["news", "empty", "refused", "limited", "failed", "aborted"] },
    }),
    pollSeconds: histogram(registry, {
      name: "slidecar_poll_seconds",
      help: "From an upstream poll's request to the end of its response, the wait for news included.",
      labels: {},
      buckets: POLL_BUCKETS,
    }),
    pollBytes: counter(registry, {
      name: "slidecar_poll_bytes_total",
      help: "Bytes of the upstream polls' response bodies, decompressed.",
      labels: {},
    }),
    eventsStored: counter(registry, {
      name: "slidecar_events_stored_total",
      help: "Events that were new and stored: into a timeline, or as state only.",
      labels: { kind: ["timeline", "state"] },
    }),
    setAside: counter(registry, {
      name: "slidecar_set_aside_total",
      help: "Parts of upstream responses that could not be stored and were left out. Above zero, look into the log.",
      labels: { what: ["room", "event", "section"] },
    }),
    intakeRestarts: counter(registry, {
      name: "slidecar_intake_restarts_total",
      help: "Times the intake process ended by itself and was started again.",
      labels: {},
    }),
  };
}

function fetchMetrics(registry: Registry) {
  return {
    fetches: counter(registry, {
      name: "slidecar_fetches_total",
      help:
        "What the streams left open and the homeserver was asked: a state key, a missing member, own membership, account " +
        "data. Decided; absent there; refused to all users who could ask; invalid answers; dropped for want of somebody " +
        "who could ask, or of place.",
      labels: {
        kind: ["state", "member", "membership", "timeline", "account_data"],
        outcome: ["decided", "absent", "refused", "invalid", "dropped"],
      },
    }),
    historyFetches: counter(registry, {
      name: "slidecar_history_fetches_total",
      help:
        "Times that older events of a room were fetched because a client asked for more than is stored: they were brought; " +
        "there was nothing; refused by the homeserver; invalid answers; failed otherwise; dropped for want of place.",
      labels: { outcome: ["brought", "nothing", "refused", "invalid", "failed", "dropped"] },
    }),
    recalls: counter(registry, {
      name: "slidecar_recalls_total",
      help:
        "Times that a room was asked for because a client subscribes to it and nothing of its user is known there: it is shown as " +
        "the user left it; there is nothing to show, as with rooms that the user never was in or has forgotten; failed; " +
        "dropped for want of place, or of somebody who could ask.",
      labels: { outcome: ["brought", "nothing", "failed", "dropped"] },
    }),
    fetchFailures: counter(registry, {
      name: "slidecar_fetch_failures_total",
      help: "Times that asking for what the streams left open failed and was put off.",
      labels: {},
    }),
    drift: counter(registry, {
      name: "slidecar_drift_total",
      help:
        "What differed when it was compared: rooms that a user was in for the homeserver alone or for Slidecar alone, and " +
        "state of a room that one of them alone had, or another event of it. It is mended; above zero, something was lost " +
        "before, or the homeserver changed what no stream tells.",
      labels: { kind: ["joined_upstream", "joined_here", "state_upstream", "state_here", "state_other"] },
    }),
    memberLists: counter(registry, {
      name: "slidecar_member_lists_total",
      help: "Readings of all members of a room, because a client wanted them.",
      labels: { outcome: ["read", "failed"] },
    }),
    fetchesWaiting: gauge(registry, {
      name: "slidecar_fetches_waiting",
      help: "What the streams left open and the homeserver has not answered yet.",
      labels: {},
    }),
  };
}

function storeMetrics(registry: Registry) {
  return {
    storeTransactionSeconds: histogram(registry, {
      name: "slidecar_store_transaction_seconds",
      help: "Write transactions from begin to commit: live traffic, or bulk such as initial syncs.",
      labels: { kind: ["live", "bulk"] },
      buckets: TRANSACTION_BUCKETS,
    }),
    positionLockSeconds: histogram(registry, {
      name: "slidecar_position_lock_seconds",
      help: "How long one transaction held the lock under which positions are drawn.",
      labels: {},
      buckets: POSITION_LOCK_BUCKETS,
    }),
    streamPosition: gauge(registry, {
      name: "slidecar_stream_position",
      help: "The current stream position; microseconds since 1970 or more.",
      labels: {},
      aggregator: "max",
    }),
    roomsLoaded: gauge(registry, {
      name: "slidecar_rooms_loaded",
      help: "Rooms whose columns are held in memory now.",
      labels: {},
    }),
    usersLoaded: gauge(registry, {
      name: "slidecar_users_loaded",
      help: "Users whose rooms are held in memory now.",
      labels: {},
    }),
  };
}
