import type { AuthedCall, Reply } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { MatrixError } from "../matrix-error.ts";
import type { Polls } from "../polls.ts";
import { encodeSync } from "../sync/encode.ts";
import { checkFilter, SyncFilter } from "../sync/filter.ts";
import type { SyncAnswer, SyncRequest } from "../sync/model.ts";
import type { SyncResponder } from "../sync/respond.ts";
import type { StreamToken } from "../tokens.ts";
import type { User } from "../user.ts";
import type { World } from "../world.ts";

export interface SyncRouteParts {
  readonly world: World;
  readonly responder: SyncResponder;
  readonly polls: Polls;
}

const UNSTABLE = "org.matrix.msc4222.";

export function addSyncRoute(router: Router, parts: SyncRouteParts): void {
  router.authed("GET", "/client/sync", async (call) => {
    const request = parseRequest(parts.world, call);
    const poll = parts.polls.begin(call.device);
    const cancel = () => poll.end();
    call.signal.addEventListener("abort", cancel);
    try {
      return replyTo(parts.world, call, request, await parts.responder.respond(request));
    } finally {
      poll.end();
      call.signal.removeEventListener("abort", cancel);
    }
  });
}

function parseRequest(world: World, { device, query }: AuthedCall): SyncRequest {
  if (query.has("from")) {
    throw new MatrixError(400, "M_UNKNOWN", "'from' is not a valid query parameter. Did you mean 'since'?");
  }
  const timeoutMs = integerOf(query, "timeout");
  const since = query.get("since");
  const filterText = query.get("filter");
  const fullState = booleanOf(query, "full_state");
  const presence = query.get("set_presence") ?? "online";
  if (!["online", "offline", "unavailable"].includes(presence)) {
    throw new MatrixError(
      400,
      "M_INVALID_PARAM",
      "Query parameter 'set_presence' must be one of ['offline', 'online', 'unavailable']",
    );
  }
  const stateAfter = stateAfterOf(world, query);
  const useStateAfter = stateAfter !== undefined;
  // An initial answer is invalid once the ignore list changed, hence its position is part of the question.
  const ignorePosition = since === null ? device.user.ignoredPosition : undefined;
  const question = [
    device.user.userId,
    timeoutMs,
    since,
    filterText,
    fullState,
    device.deviceId,
    ignorePosition,
    useStateAfter,
  ];
  return {
    device,
    timeoutMs: world.profile.waitsMs(timeoutMs),
    fullState,
    useStateAfter,
    stateKey: stateAfter ?? "state",
    since: since === null ? undefined : world.profile.tokens.parseBatch(shifted(since, world.settings.restoredBy)),
    filter: filterOf(world, device.user, filterText),
    cacheKey: JSON.stringify(question),
  };
}

/** The key of the answer that holds state at the end of timelines; undefined: state before them is told. */
function stateAfterOf({ profile, settings }: World, query: URLSearchParams): string | undefined {
  if (profile.stateAfter === "never" || settings.stateAfterFails) return undefined;
  // Whoever asks by both names reads the unstable one.
  if (booleanOf(query, `${UNSTABLE}use_state_after`)) {
    return profile.stateAfter === "always" || settings.msc4222 ? `${UNSTABLE}state_after` : undefined;
  }
  // Synapse does not know the stable name yet.
  return profile.stateAfter === "always" && booleanOf(query, "use_state_after") ? "state_after" : undefined;
}

function filterOf(world: World, user: User, text: string | null): SyncFilter {
  const limits = { default: world.profile.defaultTimelineLimit, max: world.profile.maxTimelineLimit };
  if (text === null) return new SyncFilter({}, limits);
  if (!text.startsWith("{")) {
    if (!/^\d+$/.test(text)) throw new MatrixError(400, "M_INVALID_PARAM", "Invalid filter ID");
    const stored = user.filters[Number(text)];
    if (stored === undefined) throw new MatrixError(400, "M_INVALID_PARAM", "No such filter");
    return new SyncFilter(stored, limits);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new MatrixError(400, "M_NOT_JSON", "Invalid filter JSON");
  }
  checkFilter(json);
  return new SyncFilter(json, limits);
}

function replyTo(world: World, call: AuthedCall, request: SyncRequest, answer: SyncAnswer): Reply {
  const body = encodeSync(answer, {
    world,
    device: call.device,
    stateKey: request.stateKey,
    withThreads: world.profile.countsThreads && request.filter.timeline.unreadThreadNotifications,
    nextBatch: nextBatchOf(world, call, answer.nextBatch),
    splices: call.effects.flatMap(({ splice }) => (splice === undefined ? [] : [splice])),
  });
  return { status: 200, contentType: "application/json", body };
}

function nextBatchOf(world: World, { effects }: AuthedCall, token: StreamToken): string {
  const given = effects.find(({ nextBatch }) => nextBatch !== undefined)?.nextBatch;
  const backBy = effects.find(({ nextBatchBackBy }) => nextBatchBackBy !== undefined)?.nextBatchBackBy ?? 0;
  const stream = Math.max(0, token.room.stream - backBy);
  const text = world.profile.tokens.batch({ ...token, room: { depth: undefined, stream } });
  return given ?? shifted(text, -world.settings.restoredBy);
}

/** A token whose position in the stream of rooms is another; it stands first in the tokens of all homeservers. */
const shifted = (token: string, by: number): string =>
  by === 0 ? token : token.replace(/\d+/, (position) => String(Math.max(0, Number(position) + by)));

function integerOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "0";
  if (!/^-?\d+$/.test(text)) {
    throw new MatrixError(400, "M_INVALID_PARAM", `Query parameter ${name} must be an integer`);
  }
  return Number(text);
}

function booleanOf(query: URLSearchParams, name: string): boolean {
  const text = query.get(name) ?? "false";
  if (text !== "true" && text !== "false") {
    throw new MatrixError(400, "M_INVALID_PARAM", `Boolean query parameter '${name}' must be one of ['true', 'false']`);
  }
  return text === "true";
}
