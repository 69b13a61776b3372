import { logIn, removeDevice } from "../accounts.ts";
import type { Fault, Faults } from "../faults.ts";
import { type Call, json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { type JsonObject, numberOr, stringOr } from "../json.ts";
import type { Lively } from "../lively/lively.ts";
import { MatrixError } from "../matrix-error.ts";
import type { Polls } from "../polls.ts";
import type { RequestLog } from "../request-log.ts";
import type { SyncResponder } from "../sync/respond.ts";
import type { Device } from "../user.ts";
import type { World } from "../world.ts";
import { addScriptRoutes } from "./script.ts";

export interface ControlParts {
  readonly world: World;
  readonly responder: SyncResponder;
  readonly polls: Polls;
  readonly faults: Faults;
  readonly log: RequestLog;
  readonly lively: Lively;
}

/** `/_control/…`: what a test does to the homeserver from outside of Matrix. */
export function addControlRoutes(router: Router, parts: ControlParts): void {
  addFaultRoutes(router, parts.faults);
  addTokenRoutes(router, parts.world);
  addObserverRoutes(router, parts);
  addScriptRoutes(router, parts.world);
  const { world, lively, responder } = parts;
  router.open("POST", "/_control/settings", ({ body }) => {
    const { settings } = world;
    settings.initialDelayMs = numberOr(body.initialDelayMs, settings.initialDelayMs);
    settings.restoredBy = numberOr(body.restoredBy, settings.restoredBy);
    if (typeof body.responseCache === "boolean") settings.responseCache = body.responseCache;
    if (typeof body.msc4222 === "boolean") settings.msc4222 = body.msc4222;
    if (typeof body.stateAfterFails === "boolean") settings.stateAfterFails = body.stateAfterFails;
    return json(settings);
  });
  router.open("POST", "/_control/clock", ({ body }) => {
    world.clock.advance(numberOr(body.advanceMs, 0));
    return json({ nowMs: world.clock.nowMs() });
  });
  router.open("POST", "/_control/cache/forget", () => {
    responder.forgetCached();
    return json({});
  });
  router.open("POST", "/_control/rooms", ({ body }) =>
    json({ roomIds: lively.addRooms(stringOr(body.userId, ""), numberOr(body.count, 0)) }),
  );
  router.open("POST", "/_control/lively", ({ body }) => {
    if (typeof body.eventsPerSecond === "number") lively.run(body.eventsPerSecond);
    lively.step(numberOr(body.events, 0));
    return json({});
  });
}

function addFaultRoutes(router: Router, faults: Faults): void {
  const described = ({ id, request, hits, left }: Fault): JsonObject => ({
    ...request,
    id,
    hits,
    left: Number.isFinite(left) ? left : null,
  });
  router.open("POST", "/_control/faults", ({ body }) => json(described(faults.add(body))));
  router.open("GET", "/_control/faults", () => json({ faults: faults.list().map(described) }));
  router.open("GET", "/_control/faults/:id", ({ params }) => json(described(faults.get(params.id ?? ""))));
  router.open("DELETE", "/_control/faults", () => {
    faults.clear();
    return json({});
  });
  router.open("DELETE", "/_control/faults/:id", ({ params }) => {
    faults.clear(params.id);
    return json({});
  });
  router.open("POST", "/_control/faults/:id/release", ({ params }) => {
    const fault = faults.get(params.id ?? "");
    fault.release();
    return json(described(fault));
  });
}

function addTokenRoutes(router: Router, world: World): void {
  router.open("POST", "/_control/tokens/revoke", ({ body }) => {
    const token = stringOr(body.token, "");
    const access = world.access.get(token);
    if (access === undefined) throw new MatrixError(404, "M_NOT_FOUND", "No such token");
    if (body.deleteDevice === true) removeDevice(world, access.device);
    else access.softLogout = body.softLogout === true;
    return json({});
  });
  router.open("POST", "/_control/tokens/issue", (call) => {
    const device = deviceOf(world, call);
    const { token } = logIn(world, device.user, device.deviceId);
    return json({ token });
  });
}

function deviceOf(world: World, { body }: Call): Device {
  const device = world.users.get(stringOr(body.userId, ""))?.devices.get(stringOr(body.deviceId, ""));
  if (device === undefined) throw new MatrixError(404, "M_NOT_FOUND", "No such device");
  return device;
}

function addObserverRoutes(router: Router, { polls, log, world }: ControlParts): void {
  router.open("GET", "/_control/polls", async ({ query }) => {
    const user = query.get("user") ?? undefined;
    const count = Number(query.get("count") ?? "0");
    const isReached = await polls.untilHeld(count, Number(query.get("timeoutMs") ?? "0"), user);
    return json({ isReached, held: polls.held(user) });
  });
  router.open("GET", "/_control/requests", ({ query }) => {
    const path = query.get("path") ?? "";
    const user = query.get("user");
    const found = log
      .all()
      .filter((request) => request.path.includes(path) && (user === null || request.userId === user));
    return json({ requests: found });
  });
  router.open("DELETE", "/_control/requests", () => {
    log.clear();
    return json({});
  });
  router.open("GET", "/_control/stats", () =>
    json({
      users: world.users.size,
      rooms: world.rooms.size,
      events: world.events.size,
      heldPolls: polls.held(),
      rssBytes: process.memoryUsage.rss(),
      inboxes: inboxes(world),
    }),
  );
}

function inboxes(world: World): JsonObject {
  const sizes: JsonObject = {};
  for (const user of world.users.values()) {
    for (const device of user.devices.values()) {
      if (device.inbox.length > 0) sizes[`${user.userId} ${device.deviceId}`] = device.inbox.length;
    }
  }
  return sizes;
}
