// What a client makes of the answers it gets: the rules of matrix-rust-sdk, and those of matrix-js-sdk where they ask for more.
// Imports no code of src/engine, so that what is held does not depend on what is tested.
import type { RequiredState } from "../../src/engine/request.ts";
import type { Hero, RoomAnswer, TimelineAnswer } from "../../src/engine/response.ts";
import type { RoomId } from "../../src/model/ids.ts";
import { isDeparted, isStripped, Membership, membershipOf } from "../../src/model/membership.ts";
import type { StateEvent, StoredEvent } from "../../src/model/stored-event.ts";
import { alice } from "./engine.ts";

interface HeldEvent {
  readonly eventId: string;
  /** Whose member events it is shown with. */
  readonly users: readonly string[];
}

/** Something is missing here, and this token leads to it. */
interface Gap {
  readonly token: string;
}

export type HeldItem = HeldEvent | Gap;

const MEMBER = "m.room.member";
const OWN_MEMBER = `${MEMBER} ${alice}`;

/** One room as a client holds it. */
class HeldRoom {
  membership: Membership = Membership.join;
  strippedState: string | undefined;
  name: string | undefined;
  avatar: string | undefined;
  heroes: readonly Hero[] = [];
  joinedCount: number | undefined;
  invitedCount: number | undefined;
  notificationCount = 0;
  highlightCount = 0;
  /** Event ids by state key. */
  readonly state = new Map<string, string>();
  timeline: HeldItem[] = [];
  /** Told on the present connection, with a `pos` that the client has. */
  isTold = false;
  /** The client threw its timeline away, and the server does not know. */
  isEmptied = false;
  /** Events of answers whose `pos` was lost: they may come again. */
  readonly #mayRepeat = new Set<string>();

  apply(answer: RoomAnswer, isPosKept: boolean): void {
    this.isTold ||= isPosKept;
    if (answer.isInitial) this.#clear();
    this.membership = membershipIn(answer);
    this.strippedState = answer.strippedState?.toString();
    this.#applyFields(answer);
    for (const event of answer.requiredState) this.#applyState(event);
    if (answer.timeline !== undefined) this.#applyTimeline(answer, answer.timeline, isPosKept);
  }

  /** What is left out of an initial answer is not there. */
  #clear(): void {
    this.name = undefined;
    this.avatar = undefined;
    this.heroes = [];
    this.joinedCount = undefined;
    this.invitedCount = undefined;
    this.state.clear();
  }

  /** What is left out of another answer is as it was. */
  #applyFields(answer: RoomAnswer): void {
    if (answer.name !== undefined) this.name = answer.name;
    if (answer.avatar !== undefined) this.avatar = answer.avatar ?? undefined;
    if (answer.heroes !== undefined) this.heroes = answer.heroes;
    if (answer.joinedCount !== undefined) this.joinedCount = answer.joinedCount;
    if (answer.invitedCount !== undefined) this.invitedCount = answer.invitedCount;
    this.notificationCount = answer.notificationCount;
    this.highlightCount = answer.highlightCount;
  }

  #applyState(event: StateEvent): void {
    this.state.set(`${event.type} ${event.stateKey}`, event.eventId);
    if (event.type === "m.room.name") this.name = textIn(event, "name");
  }

  #applyTimeline(answer: RoomAnswer, timeline: TimelineAnswer, isPosKept: boolean): void {
    const events = timeline.events.map(({ event }) => heldOf(event));
    const known = new Set(idsOf(this.events));
    const again = events.filter(({ eventId }) => known.has(eventId));
    const isWholeEnd = answer.isInitial || answer.isTimelineExpanded;
    if (isWholeEnd && isPosKept) this.isEmptied = false;
    const unexpected = isWholeEnd ? undefined : again.find(({ eventId }) => !this.#mayRepeat.has(eventId));
    if (unexpected !== undefined) throw new Error(`${unexpected.eventId} jumps to the end of ${answer.roomId}`);
    if (!isPosKept) for (const { eventId } of events) this.#mayRepeat.add(eventId);
    if (events.length > 0 && again.length === events.length) return;
    const isRepeated = new Set(again.map(({ eventId }) => eventId));
    this.timeline = this.timeline.filter((item) => !("eventId" in item && isRepeated.has(item.eventId)));
    const { limited, prevBatch } = timeline;
    if (limited && prevBatch === undefined && events.length > 0) throw new Error(`no way back in ${answer.roomId}`);
    if ((limited || known.size === 0) && prevBatch !== undefined) this.timeline.push({ token: prevBatch });
    this.timeline.push(...events);
  }

  get events(): readonly HeldEvent[] {
    return this.timeline.filter((item) => "eventId" in item);
  }

  /** The newest events, as far back as nothing is missing. */
  get end(): readonly HeldEvent[] {
    const gap = this.timeline.findLastIndex((item) => "token" in item);
    return this.timeline.slice(gap + 1).filter((item) => "eventId" in item);
  }
}

/** Only `required_state` is believed; without it a room without stripped state is one that the user is in. */
function membershipIn({ strippedState, requiredState }: RoomAnswer): Membership {
  if (strippedState !== undefined) {
    const events: readonly { readonly type: string; readonly content: unknown }[] = JSON.parse(
      strippedState.toString(),
    );
    return membershipOf(events.find(({ type }) => type === MEMBER)?.content) ?? Membership.invite;
  }
  const own = requiredState.find((event) => `${event.type} ${event.stateKey}` === OWN_MEMBER);
  return (own && membershipOf(contentOf(own))) ?? Membership.join;
}

const contentOf = ({ body }: StoredEvent): object => JSON.parse(body.toString()).content;

function textIn(event: StoredEvent, key: string): string | undefined {
  const value: unknown = Object.entries(contentOf(event)).find(([name]) => name === key)?.[1];
  return typeof value === "string" && value !== "" ? value : undefined;
}

const heldOf = ({ eventId, sender, type, stateKey }: StoredEvent): HeldEvent => ({
  eventId,
  users: type === MEMBER && stateKey !== undefined ? [sender, stateKey] : [sender],
});

/** All rooms of a client. */
export class ClientView {
  readonly rooms = new Map<RoomId, HeldRoom>();

  /** @param isPosKept false: the client stops before it keeps the `pos` of the answer, and asks again with the one before. */
  apply(answers: readonly RoomAnswer[], isPosKept = true): void {
    for (const answer of answers) {
      const known = this.rooms.get(answer.roomId);
      // matrix-js-sdk drops an entry of a room that it does not know and that is not initial.
      if (known === undefined && !answer.isInitial) throw new Error(`${answer.roomId} is not known to the client`);
      const room = known ?? new HeldRoom();
      this.rooms.set(answer.roomId, room);
      room.apply(answer, isPosKept);
    }
  }

  /** The connection is lost; the client keeps what it has. */
  beginAnew(): void {
    for (const room of this.rooms.values()) room.isTold = false;
  }

  /** matrix-rust-sdk does so when the user ignores others than before. */
  emptyTimelines(): void {
    for (const room of this.rooms.values()) {
      room.timeline = [];
      room.isEmptied = true;
    }
  }
}

/** What both clients asked to hold of a room, and what there is to hold. */
export interface Asked {
  readonly requiredState: readonly RequiredState[];
  /** Event ids of the state that is in force, by state key; without what the server owes only those who ask for the first time. */
  readonly current: ReadonlyMap<string, string>;
}

/** In what a client differs from one that asked the same for the first time. */
export function differences(held: ClientView, fresh: ClientView, asked: (room: RoomId) => Asked): readonly string[] {
  return [...fresh.rooms].flatMap(([roomId, room]) => {
    const other = held.rooms.get(roomId);
    if (other === undefined) return [`${roomId} is missing`];
    return inRoom(other, room, asked(roomId)).map((difference) => `${roomId}: ${difference}`);
  });
}

function inRoom(held: HeldRoom, fresh: HeldRoom, asked: Asked): readonly string[] {
  if (held.membership !== fresh.membership) return [`membership ${held.membership}, not ${fresh.membership}`];
  if (isStripped(fresh.membership)) return differs("stripped state", held.strippedState, fresh.strippedState);
  if (isDeparted(fresh.membership)) return inDeparture(held, fresh, asked);
  return [
    ...inFields(held, fresh),
    ...(fresh.name === undefined ? differs("heroes", held.heroes, fresh.heroes) : []),
    ...inCounts(held, fresh),
    ...inState(held, fresh, asked),
    ...inTimeline(held, fresh),
  ];
}

const inDeparture = (held: HeldRoom, fresh: HeldRoom, { current }: Asked): readonly string[] =>
  differs("departure", held.state.get(OWN_MEMBER), current.get(OWN_MEMBER) ?? fresh.state.get(OWN_MEMBER));

function inFields(held: HeldRoom, fresh: HeldRoom): readonly string[] {
  // No answer takes a name away but by state.
  const isNameTold = fresh.name !== undefined || fresh.state.has("m.room.name ");
  return [
    ...(isNameTold ? differs("name", held.name, fresh.name) : []),
    ...differs("avatar", held.avatar, fresh.avatar),
    ...differs("notifications", held.notificationCount, fresh.notificationCount),
    ...differs("highlights", held.highlightCount, fresh.highlightCount),
  ];
}

/** Who is shown no event after a gap is not told of it, and of how many members it hides. */
function inCounts(held: HeldRoom, fresh: HeldRoom): readonly string[] {
  if (fresh.end.length === 0) return [];
  return [
    ...differs("joined", held.joinedCount, fresh.joinedCount),
    ...differs("invited", held.invitedCount, fresh.invitedCount),
  ];
}

/** Of state that nobody asked for by name only the members that both timelines need. */
function inState(held: HeldRoom, fresh: HeldRoom, asked: Asked): readonly string[] {
  const isLazy = asked.requiredState.some(({ lazyMembers }) => lazyMembers);
  const common = lastOf(fresh.end, reachOf(held, fresh));
  const needed = new Set(common.flatMap(({ users }) => users));
  return [...asked.current].flatMap(([key, eventId]) => {
    const [type = "", stateKey = ""] = key.split(" ");
    const isNeeded = isLazy && type === MEMBER && needed.has(stateKey);
    return isNeeded || selects(asked, type, stateKey) ? differs(key, held.state.get(key), eventId) : [];
  });
}

const selects = ({ requiredState }: Asked, type: string, stateKey: string): boolean =>
  requiredState.some(({ selectors, lazyMembers }) =>
    selectors.some(
      (selector) =>
        (selector.type === undefined ? type !== MEMBER || !lazyMembers : selector.type === type) &&
        (selector.stateKey === undefined || selector.stateKey === stateKey),
    ),
  );

/**
 * How many of the newest events both hold. A client that threw nothing away holds as many as a new one, be there a gap among
 * them that turned out to be none: it leaves an answer alone of which it knows all events.
 */
const reachOf = (held: HeldRoom, fresh: HeldRoom): number =>
  held.isEmptied ? Math.min(held.end.length, fresh.end.length) : fresh.end.length;

function inTimeline(held: HeldRoom, fresh: HeldRoom): readonly string[] {
  const reach = reachOf(held, fresh);
  return differs("timeline", idsOf(lastOf(held.events, reach)), idsOf(lastOf(fresh.end, reach)));
}

const lastOf = <Item>(items: readonly Item[], count: number): readonly Item[] =>
  items.slice(Math.max(0, items.length - count));

const idsOf = (events: readonly HeldEvent[]): readonly string[] => events.map(({ eventId }) => eventId);

function differs(what: string, held: unknown, fresh: unknown): readonly string[] {
  const [ours, theirs] = [JSON.stringify(held), JSON.stringify(fresh)];
  return ours === theirs ? [] : [`${what} ${ours}, not ${theirs}`];
}
