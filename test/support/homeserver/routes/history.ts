import type { StoredEvent } from "../event.ts";
import { type AuthedCall, json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { type JsonObject, objectOr } from "../json.ts";
import { forbidden, MatrixError, notFound } from "../matrix-error.ts";
import { type PageRequest, paginate } from "../paginate.ts";
import type { Room } from "../room.ts";
import type { Shown } from "../shown.ts";
import { EventFilter } from "../sync/filter.ts";
import type { Direction } from "../token-format.ts";
import { type RoomKey, type StreamToken, ZERO_TOKEN } from "../tokens.ts";
import { shownTo } from "../visibility.ts";
import type { World } from "../world.ts";
import { readable, readerOfEvent, stateJson, timelineJson } from "./read.ts";

const DEFAULT_PAGE = 10;

/** Synapse cuts a page of `/messages` to this. */
const MAX_PAGE = 1000;

export function addHistoryRoutes(router: Router, world: World): void {
  router.authed("GET", "/client/rooms/:room/messages", (call) => json(messages(world, call)));
  router.authed("GET", "/client/rooms/:room/context/:event", (call) => json(context(world, call)));
}

function messages(world: World, call: AuthedCall): JsonObject {
  const { room, upto, reader } = readable(world, call);
  const direction = call.query.get("dir") === "b" ? "b" : "f";
  const filter = filterOf(call);
  const given = call.query.get("from");
  const from =
    given === null || given === ""
      ? startOf(room, direction, world.streams.room)
      : tokenOf(world, given, "from", direction);
  const order = orderOf(world);
  const clamped = direction === "b" ? clampToLeave(room, from, upto) : from;
  const to = call.query.get("to");
  const page = paginate(room, {
    order,
    direction,
    from: clamped.room,
    to: to === null ? undefined : tokenOf(world, to, "to", direction).room,
    limit: limitOf(call, MAX_PAGE),
    matches: filter === undefined ? undefined : (event) => filter.passes(event),
  });
  const { tokens } = world.profile;
  const start = tokens.page(clamped, direction);
  if (page.events.length === 0 && !page.isLimited) return { chunk: [], start };
  const shown = shownTo(room, page.events, reader);
  const chunk = timelineJson(world, call, shown);
  const state = filter?.lazyLoadMembers === true ? sendersOf(room, shown) : [];
  return {
    chunk,
    start,
    end: tokens.page({ ...clamped, room: page.next }, direction),
    ...(state.length > 0 ? { state: state.map((event) => stateJson(world, call, event)) } : {}),
  };
}

function tokenOf(world: World, text: string, name: string, direction: Direction): StreamToken {
  try {
    return world.profile.tokens.parsePage(text, direction);
  } catch {
    throw new MatrixError(400, "M_UNKNOWN", `'${name}' parameter is invalid`);
  }
}

function startOf(room: Room, direction: "b" | "f", stream: number): StreamToken {
  return direction === "f" ? ZERO_TOKEN : { ...ZERO_TOKEN, room: { depth: room.depth, stream } };
}

/** Who left reads back from there, however new the token. */
function clampToLeave(room: Room, from: StreamToken, upto: number): StreamToken {
  if (!Number.isFinite(upto)) return from;
  const left = room.lastEventAtOrBefore(upto);
  if (left === undefined) return from;
  const fromDepth = from.room.depth ?? room.lastEventAtOrBefore(from.room.stream)?.depth ?? 0;
  return left.depth < fromDepth ? { ...from, room: { depth: left.depth, stream: left.stream } } : from;
}

function sendersOf(room: Room, shown: readonly Shown[]): StoredEvent[] {
  const first = shown[0];
  if (first === undefined) return [];
  const senders = new Set(shown.map(({ event }) => event.sender));
  return [...senders].flatMap((userId) => room.stateAt(first.event.stream, "m.room.member", userId) ?? []);
}

function context(world: World, call: AuthedCall): JsonObject {
  const event = world.events.get(call.params.event ?? "");
  if (event === undefined || event.roomId !== call.params.room) throw notFound("Event not found.");
  const room = world.room(event.roomId);
  const reader = readerOfEvent(room, call);
  event.knowsPrevious = true;
  const [shown] = shownTo(room, [event], reader);
  if (shown === undefined) throw forbidden("You don't have permission to access that event.");
  const filter = filterOf(call);
  const limit = limitOf(call, 100);
  const order = orderOf(world);
  const before = around(room, event, order, { direction: "b", limit: Math.floor(limit / 2), filter });
  const after = around(room, event, order, { direction: "f", limit: limit - Math.floor(limit / 2), filter });
  const shownBefore = shownTo(room, before.events, reader);
  const shownAfter = shownTo(room, after.events, reader);
  const last = shownAfter.at(-1)?.event ?? event;
  const senders = new Set([...shownBefore, shown, ...shownAfter].map((one) => one.event.sender));
  const state = [...room.fullStateAt(last.stream).values()].filter(
    (one) => filter?.lazyLoadMembers !== true || one.type !== "m.room.member" || senders.has(one.stateKey ?? ""),
  );
  const write = (events: readonly Shown[]) => timelineJson(world, call, events);
  return {
    events_before: write(shownBefore),
    event: write([shown])[0],
    events_after: write(shownAfter),
    state: state.map((one) => stateJson(world, call, one)),
    start: world.profile.tokens.page({ ...ZERO_TOKEN, room: before.next }, "b"),
    end: world.profile.tokens.page({ ...ZERO_TOKEN, room: after.next }, "f"),
  };
}

interface Around {
  readonly direction: Direction;
  readonly limit: number;
  readonly filter: EventFilter | undefined;
}

function around(room: Room, event: StoredEvent, order: PageRequest["order"], { direction, limit, filter }: Around) {
  const isBack = direction === "b";
  const from: RoomKey =
    order === "stream"
      ? { depth: undefined, stream: isBack ? event.stream - 1 : event.stream }
      : { depth: isBack ? event.depth - 1 : event.depth, stream: event.stream };
  const matches = filter === undefined ? undefined : (other: StoredEvent) => filter.passes(other);
  return paginate(room, { order, direction, from, limit, matches });
}

/** Who numbers all that happens pages by that number. */
const orderOf = ({ profile }: World): PageRequest["order"] => (profile.hasOneCounter ? "stream" : "topological");

function filterOf({ query }: AuthedCall): EventFilter | undefined {
  const text = query.get("filter");
  if (text === null) return undefined;
  try {
    return new EventFilter(objectOr(JSON.parse(text)), DEFAULT_PAGE);
  } catch {
    throw new MatrixError(400, "M_NOT_JSON", "Query parameter 'filter' is not JSON");
  }
}

function limitOf({ query }: AuthedCall, most: number): number {
  const given = query.get("limit");
  if (given === null) return DEFAULT_PAGE;
  if (!/^\d+$/.test(given)) throw new MatrixError(400, "M_INVALID_PARAM", "Query parameter limit must be an integer");
  return Math.min(Number(given), most);
}
