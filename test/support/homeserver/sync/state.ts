import { type StoredEvent, stateKeyOf } from "../event.ts";
import type { Profile } from "../profile.ts";
import type { Room } from "../room.ts";
import type { LazyMembers } from "./lazy-members.ts";
import type { RoomEntry, SyncRequest, Timeline } from "./model.ts";

type State = Map<string, StoredEvent>;

interface StateQuestion {
  readonly entry: RoomEntry;
  readonly timeline: Timeline;
  readonly request: SyncRequest;
  /** Full state is due, be it asked for, a first sync or a newly joined room. */
  readonly fullState: boolean;
  readonly inTimeline: State;
  /** Lazy loading: the users whose membership the timeline needs; else `undefined`. */
  readonly needed: ReadonlySet<string> | undefined;
}

export interface StateParts {
  readonly request: SyncRequest;
  readonly fullState: boolean;
  readonly lazy: LazyMembers;
}

const MEMBER_PREFIX = "m.room.member\u0000";

/** The `state` section (or `state_after`) of a room. */
export function computeState(
  { members, legacyState }: Profile,
  entry: RoomEntry,
  timeline: Timeline,
  { request, fullState, lazy }: StateParts,
): State {
  const inTimeline: State = new Map();
  const isLazy =
    request.filter.state.lazyLoadMembers &&
    (members.areLazyInEncryptedRooms || entry.room.state("m.room.encryption") === undefined);
  const needed = isLazy ? new Set<string>() : undefined;
  for (const { event } of timeline.events) {
    // A sender whose membership stands earlier in the timeline is known from there, unless state is told as of its end.
    const isTold = inTimeline.has(stateKeyOf("m.room.member", event.sender));
    if (request.useStateAfter || !isTold) needed?.add(event.sender);
    if (event.stateKey !== undefined) inTimeline.set(stateKeyOf(event.type, event.stateKey), event);
  }
  const question = { entry, timeline, request, fullState, inTimeline, needed };
  const isOfNow = legacyState === "of now" && !request.useStateAfter;
  const state = isOfNow ? stateOfNow(question) : fullState ? fullStateOf(question) : stateSince(question);
  const areRepeated = members.areRepeatedOnRequest && request.filter.state.includeRedundantMembers;
  const sent = needed === undefined || areRepeated ? state : withoutRedundant(state, question, lazy);
  return new Map([...sent].filter(([, event]) => request.filter.passesState(event) && event.type !== "m.room.aliases"));
}

/** Current state, or what changed of it in the range, without the events that stand in the timeline. */
function stateOfNow({ entry, timeline, request, fullState, needed }: StateQuestion): State {
  const { room, end } = entry;
  const since = fullState ? 0 : (entry.since?.room.stream ?? 0);
  const inTimeline = new Set(timeline.events.map(({ event }) => event));
  const isWanted = (event: StoredEvent) =>
    event.type !== "m.room.member" ||
    needed === undefined ||
    (timeline.isLimited && !fullState) ||
    needed.has(event.stateKey ?? "") ||
    event.stateKey === request.device.user.userId;
  const changed = new Set(room.changes.flatMap(({ stream, key }) => (stream > since ? [key] : [])));
  const state = new Map(
    [...room.fullStateAt(end)].filter(([key, event]) => (fullState || changed.has(key)) && isWanted(event)),
  );
  for (const userId of needed ?? []) {
    const member = room.stateAt(end, "m.room.member", userId);
    if (member !== undefined) state.set(stateKeyOf("m.room.member", userId), member);
  }
  return new Map([...state].filter(([, event]) => !inTimeline.has(event)));
}

function withoutRedundant(state: State, { entry, inTimeline }: StateQuestion, lazy: LazyMembers): State {
  let left = state;
  if (entry.since === undefined) lazy.clear();
  else {
    left = new Map(
      [...state].filter(([key, event]) => {
        const [, stateKey = ""] = key.split("\u0000");
        return !lazy.wasSent(stateKey, event.eventId);
      }),
    );
  }
  for (const [key, event] of [...left, ...inTimeline]) {
    if (key.startsWith(MEMBER_PREFIX)) lazy.note(event.stateKey ?? "", event.eventId);
  }
  return left;
}

function fullStateOf({ entry, timeline, request, inTimeline, needed }: StateQuestion): State {
  // The reader's own membership always comes with a full state, lazy or not.
  const members = needed === undefined ? undefined : new Set([...needed, request.device.user.userId]);
  const atEnd = restrict(entry.room.fullStateAt(entry.end), members);
  if (request.useStateAfter) return atEnd;
  const first = timeline.events[0]?.event;
  const atStart = first === undefined ? atEnd : restrict(stateAfter(entry.room, first), members);
  return difference({ inTimeline, atStart, atEnd, before: new Map(), isLazy: needed !== undefined });
}

function stateSince(question: StateQuestion): State {
  const { entry, timeline, request, inTimeline, needed } = question;
  const since = entry.since?.room.stream ?? 0;
  if (request.useStateAfter) return changesSince(question, since);
  const first = timeline.events[0]?.event;
  if (!timeline.isLimited && isLinear(entry.room, timeline, since)) {
    if (needed === undefined || needed.size === 0 || first === undefined) return new Map();
    return membersOnly(restrict(stateAfter(entry.room, first), needed));
  }
  const atStart = restrict(
    first === undefined ? entry.room.fullStateAt(entry.end) : stateAfter(entry.room, first),
    needed,
  );
  // Members of a gap are all told, lazy or not; only the start stays restricted, so that senders are told again.
  const members = timeline.isLimited ? undefined : needed;
  return difference({
    inTimeline,
    atStart,
    before: restrict(entry.room.fullStateAt(since), members),
    atEnd: restrict(entry.room.fullStateAt(entry.end), members),
    isLazy: needed !== undefined,
  });
}

/** `state_after`: all changes of current state in the range, member changes included; removals cannot be told. */
function changesSince({ entry, needed }: StateQuestion, since: number): State {
  const state: State = new Map();
  for (const userId of needed ?? []) {
    const member = entry.room.members.get(userId);
    if (member !== undefined) state.set(stateKeyOf("m.room.member", userId), member);
  }
  const after = entry.room.changes.findLastIndex((change) => change.stream <= since);
  for (const change of entry.room.changes.slice(after + 1)) {
    if (change.stream <= entry.end && change.event !== undefined) state.set(change.key, change.event);
  }
  return state;
}

/** Whether each event follows the one before it, the first the last one before the range. */
function isLinear(room: Room, timeline: Timeline, since: number): boolean {
  let before = room.lastEventAtOrBefore(since);
  for (const { event } of timeline.events) {
    const index = room.indexAfter(event.stream) - 1;
    if (event.oddity?.forked === true || room.timeline[index - 1] !== before) return false;
    before = event;
  }
  return true;
}

interface Parts {
  readonly inTimeline: State;
  readonly atStart: State;
  readonly atEnd: State;
  /** State that the client had at the end of the previous answer. */
  readonly before: State;
  readonly isLazy: boolean;
}

/** State at the start or the end of the timeline that neither the client nor the timeline has. */
function difference({ inTimeline, atStart, atEnd, before, isLazy }: Parts): State {
  const known = new Set([...inTimeline.values()]);
  for (const event of before.values()) known.add(event);
  if (isLazy) {
    // The start holds only the members that the timeline needs: they are told, whether or not they changed.
    for (const [key, event] of atStart)
      if (key.startsWith(MEMBER_PREFIX) && inTimeline.get(key) !== event) known.delete(event);
  }
  const told: State = new Map();
  for (const part of [atStart, atEnd]) {
    for (const [key, event] of part) if (!known.has(event)) told.set(key, event);
  }
  return told;
}

/** State after an event. One that lost state resolution still is the state of its own branch. */
function stateAfter(room: Room, event: StoredEvent): State {
  const state = room.fullStateAt(event.stream);
  if (event.stateKey !== undefined) state.set(stateKeyOf(event.type, event.stateKey), event);
  return state;
}

function restrict(state: State, members: ReadonlySet<string> | undefined): State {
  if (members === undefined) return state;
  return new Map([...state].filter(([, event]) => event.type !== "m.room.member" || members.has(event.stateKey ?? "")));
}

function membersOnly(state: State): State {
  return new Map([...state].filter(([key]) => key.startsWith(MEMBER_PREFIX)));
}
