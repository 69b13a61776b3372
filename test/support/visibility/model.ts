// What the Client-Server API lets one reader see of one room, from the room's true history alone. Imports nothing of the product,
// and nothing of the scripted homeserver.

export type TrueMembership = "join" | "invite" | "knock" | "leave" | "ban";

/** An event of a room, where it really stands. */
export interface TrueEvent {
  readonly eventId: string;
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly sender: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export type Counted = "join" | "invite";

interface Sight {
  /** Oldest first; nothing happens at the same time. */
  readonly events: readonly TrueEvent[];
  readonly reader: string;
  /** Whether anybody was told of an event. A departure that nobody was told of has not happened yet, as far as can be known. */
  readonly isTold: (eventId: string) => boolean;
}

const MEMBER = "m.room.member";
const VISIBILITY = "m.room.history_visibility";

/** Addresses events by their index, oldest first. */
export class VisibilityModel {
  readonly #sight: Sight;
  /** The reader's membership after each event, and before the next one. */
  readonly #memberships: TrueMembership[] = [];
  /** In force after each event. */
  readonly #visibilities: string[] = [];
  /** Where the reader last went, or was sent away, as far as anybody was told; -1: they never did. */
  #lastEnd = -1;
  /** Where the reader was last in. */
  #lastIn = -1;

  constructor(sight: Sight) {
    this.#sight = sight;
    let membership: TrueMembership = "leave";
    let visibility = "shared";
    for (const [index, event] of sight.events.entries()) {
      if (this.#isOwnMember(event)) {
        const next = membershipOf(event);
        const isEnd = next === "leave" || next === "ban";
        if (!isEnd || sight.isTold(event.eventId)) membership = next;
        if (isEnd && sight.isTold(event.eventId)) this.#lastEnd = index;
      }
      if (event.type === VISIBILITY && event.stateKey === "") visibility = visibilityOf(event);
      if (membership === "join") this.#lastIn = index;
      this.#memberships.push(membership);
      this.#visibilities.push(visibility);
    }
  }

  /** The reader had this membership at some time since they last went. */
  mayBe(membership: TrueMembership): boolean {
    return this.#memberships.some((each, index) => index >= this.#lastEnd && each === membership);
  }

  /** "Room History Visibility", as far as a stream of what happens goes: nobody looks into a room that they will not come into. */
  maySee(index: number): boolean {
    const event = this.#sight.events[index];
    return event !== undefined && (this.#isOwnMember(event) || this.#isShown(index, event));
  }

  #isShown(index: number, event: TrueEvent): boolean {
    const before = this.#memberships[index - 1];
    if (before === "join") return true;
    if (this.#lastIn < index) return false;
    const inForce = [this.#visibilities[index - 1] ?? "shared"];
    // A change of it is seen by whom either lets see it.
    if (event.type === VISIBILITY) inForce.push(this.#visibilities[index] ?? "shared");
    return inForce.some(
      (each) => each === "world_readable" || each === "shared" || (each === "invited" && before === "invite"),
    );
  }

  /**
   * The state event was in force at some time while the reader was in the room, as far as anybody was told, or when something
   * happened that they may see, since state is told as it was where a timeline starts; or they may see it where it stands.
   */
  mayKnow(index: number): boolean {
    const event = this.#sight.events[index];
    if (event?.stateKey === undefined) return false;
    return this.maySee(index) || this.#isInOrShownWithin(index, this.#replacedAt(index, event));
  }

  /**
   * So many users had the membership at some time until the reader was last in the room. Before their arrival, too: streams tell of
   * counts in their own time, and what a slow one told last stands until the next.
   */
  mayCount(counted: Counted, count: number): boolean {
    const counts = new Map<string, TrueMembership>();
    return this.#sight.events.some((event, index) => {
      if (event.type === MEMBER && event.stateKey !== undefined) counts.set(event.stateKey, membershipOf(event));
      return index <= this.#lastIn && [...counts.values()].filter((each) => each === counted).length === count;
    });
  }

  #isOwnMember({ type, stateKey }: TrueEvent): boolean {
    return type === MEMBER && stateKey === this.#sight.reader;
  }

  #replacedAt(index: number, { type, stateKey }: TrueEvent): number {
    const { events, isTold } = this.#sight;
    const isNext = (each: TrueEvent) => each.type === type && each.stateKey === stateKey && isTold(each.eventId);
    const next = events.findIndex((each, at) => at > index && isNext(each));
    return next < 0 ? events.length : next;
  }

  #isInOrShownWithin(from: number, to: number): boolean {
    const { events } = this.#sight;
    if (this.#memberships.slice(from, to).includes("join")) return true;
    return events.some((event, at) => at > from && at <= to && !this.#isOwnMember(event) && this.#isShown(at, event));
  }
}

function membershipOf({ content: { membership } }: TrueEvent): TrueMembership {
  return membership === "join" || membership === "invite" || membership === "knock" || membership === "ban"
    ? membership
    : "leave";
}

function visibilityOf({ content: { history_visibility: value } }: TrueEvent): string {
  return value === "world_readable" || value === "invited" || value === "joined" ? value : "shared";
}
