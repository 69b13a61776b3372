// A room as it really is, beside what the store was told of it: what the homeserver would give a reader who scrolls back.
import type { UserId } from "../../src/model/ids.ts";
import { isDeparted, Membership } from "../../src/model/membership.ts";
import type { ReadEvent } from "../../src/model/room-reads.ts";
import type { StateEvent } from "../../src/model/stored-event.ts";
import { Visibility } from "../../src/model/visibility.ts";
import type { HeldItem } from "./client-view.ts";
import { alice, BOB_NID, bob, carol, type TestRoom, type TestWorld } from "./engine.ts";
import type { EventOptions } from "./engine-facts.ts";

/** A member of whom streams with lazy members tell late. */
export const dave = "@dave:example.org" as UserId;

/** How a room begins, for the reader and in the store. */
export type Beginning = "joined" | "lazy" | "incomplete" | "unknown" | "invited";

interface TrueEvent {
  readonly eventId: string;
  readonly sender: UserId;
  readonly isState: boolean;
  /** For everybody who is in the room, whenever they came. */
  readonly isOpen: boolean;
  /** The reader was in the room, or the event moved them. */
  readonly isReaderIn: boolean;
}

/** `/messages?dir=b&from=` this gives what stands before the event with this number. */
const tokenAt = (at: number): string => `t${at}`;
const placeOf = (token: string): number => Number(token.slice(1));

export class RoomLife {
  readonly stored: TestRoom;
  readonly #world: TestWorld;
  readonly #events: TrueEvent[] = [];
  readonly #members = new Map<UserId, string>();
  readonly #roomType: string | undefined;
  /** State keys of members that came with a list alone. */
  readonly #learnt = new Set<string>();
  /** How much of the room had happened when the reader was in it for the last time. */
  #end = 0;
  #isNamedLate = false;
  /** The store has the room's state. */
  #isStored = false;
  #isQuarantined = false;

  constructor(world: TestWorld, beginning: Beginning, roomType: string | undefined) {
    this.#world = world;
    this.stored = world.emptyRoom();
    this.stored.isOfReader = beginning !== "unknown";
    this.stored.isComplete = false;
    this.#roomType = roomType;
    if (beginning === "invited") this.invite(bob);
    else if (beginning !== "incomplete") this.#begin(beginning === "lazy" ? undefined : this.#world.position);
    if (beginning === "joined" || beginning === "lazy") this.#own(Membership.join);
  }

  get isReaderIn(): boolean {
    return this.stored.isOfReader && this.stored.membership === Membership.join;
  }

  /** The store learns of the room, for the first time. */
  #begin(membersKnownAt: typeof this.stored.membersKnownAt, isOutOfTimeline = false): void {
    this.#isStored = true;
    this.stored.isComplete = true;
    this.stored.membersKnownAt = membersKnownAt;
    const users = [bob, carol, ...(membersKnownAt === undefined ? [] : [dave])];
    for (const user of [bob, carol, dave]) this.#members.set(user, "join");
    this.#learn([
      { type: "m.room.create", stateKey: "", content: { type: this.#roomType }, isOutOfTimeline },
      ...users.map((user) => ({ ...this.#memberOf(user, "join"), isOutOfTimeline })),
    ]);
    this.#count();
  }

  /** Of a room that the reader is in, the rest comes. */
  complete(): void {
    if (this.#isStored || !this.isReaderIn) return;
    this.#begin(undefined);
    this.#own(Membership.join);
  }

  messages(sender: UserId, isOpen: boolean, count: number): void {
    const visibility = isOpen ? Visibility.shared : Visibility.joined;
    if (!this.#isStored || (sender === alice && !this.isReaderIn)) return;
    this.#learn(Array.from({ length: count }, () => ({ sender, visibility })));
  }

  setState(type: string, stateKey: string, content: object): void {
    if (this.#isStored) this.#learn([{ type, stateKey, content }]);
  }

  /** State resolution takes a value away, with a member's the membership. */
  removeState(type: string, stateKey: string): void {
    if (!this.#isStored) return;
    this.#members.delete(stateKey as UserId);
    this.stored.removeState(type, stateKey);
    this.#count();
  }

  /** Another user's membership or profile, with its event in the timeline or without. */
  setMember(user: UserId, membership: string, isOutOfTimeline: boolean): void {
    if (!this.#isStored) return;
    this.#members.set(user, membership);
    this.#learnt.delete(`m.room.member ${user}`);
    this.#learn([{ ...this.#memberOf(user, membership), isOutOfTimeline }]);
    this.#count();
  }

  setOwnProfile(): void {
    if (this.#isStored && this.isReaderIn) this.#learn([this.#memberOf(alice, "join")]);
  }

  /**
   * A `limited` batch: what came before it in the room since the last one is not stored. A member may have changed there whom
   * its state has, or somebody may have come of whom it does not tell.
   */
  miss(count: number, changed: UserId | "somebody" | undefined): void {
    if (!this.#isStored) return;
    this.#hide(count);
    this.stored.beginChunk();
    this.stored.membersKnownAt = undefined;
    if (changed === "somebody") this.#members.set(`@guest${this.#members.size}:example.org` as UserId, "join");
    else if (changed !== undefined) this.setMember(changed, "join", true);
    this.#learn([{ sender: bob }]);
    this.#count();
  }

  /** A batch from the stream of somebody who ignores the sender of the hidden events; then one that lacks nothing. */
  learnFromIgnorer(count: number): void {
    if (!this.#isStored) return;
    this.stored.beginChunk({ continues: true, attestedFor: BOB_NID });
    this.#learn([{ sender: bob }]);
    this.#hide(count);
    this.#learn([{ sender: bob }]);
    this.stored.beginChunk({ continues: true });
    this.#learn([{ sender: bob }]);
  }

  /** All members are read. Who has said something was asked about when that was stored: that member is news. */
  learnMembers(): void {
    if (!this.#isStored || !this.isReaderIn || this.stored.membersKnownAt !== undefined) return;
    const known = this.stored.stateAt(this.#world.position);
    const unknown = [...this.#members.keys()].filter((user) => !known.has(`m.room.member ${user}`));
    const hasSpoken = (user: UserId) => this.#events.some((event) => event.sender === user);
    for (const user of unknown.filter(hasSpoken)) this.setMember(user, "join", true);
    const learnt = unknown.filter((user) => !hasSpoken(user));
    for (const user of learnt) this.#learnt.add(`m.room.member ${user}`);
    this.stored.learnMembers(...learnt);
  }

  /**
   * Event ids of the state in force, by state key, as far as the store knows it. Members that came with a list are not in it once
   * a gap made that incomplete: who was told of the room before gets them with the next list.
   */
  get current(): ReadonlyMap<string, string> {
    const state = [...this.stored.stateAt(this.#world.position)].map(([key, { eventId }]) => [key, eventId] as const);
    const isOwed = (key: string) => this.stored.membersKnownAt === undefined && this.#learnt.has(key);
    return new Map(state.filter(([key]) => !isOwed(key)));
  }

  quarantine(isQuarantined: boolean): void {
    if (!this.#isStored || this.#isQuarantined === isQuarantined) return;
    this.#isQuarantined = isQuarantined;
    this.stored.isComplete = !isQuarantined;
    this.stored.changedAt = this.#world.nextPosition();
  }

  breakReading(isBroken: boolean): void {
    this.stored.isBroken = isBroken;
  }

  /** @param missed how much of the room nobody's stream brought before. */
  join(missed: number): void {
    if (this.isReaderIn) return;
    if (!this.#isStored || missed > 0) {
      this.#hide(missed + 1);
      this.stored.beginChunk();
    }
    if (!this.#isStored) this.#begin(undefined, true);
    this.#own(Membership.join);
  }

  /**
   * Out of the room, an invite or a knock.
   *
   * @param isPlaced it is known where in the timeline that is.
   */
  leave(isPlaced: boolean): void {
    this.#depart(Membership.leave, alice, isPlaced);
  }

  sendAway(isBan: boolean, isPlaced: boolean): void {
    this.#depart(isBan ? Membership.ban : Membership.leave, bob, isPlaced);
  }

  /** The end of an invite or a knock ends no stay: it has no place. */
  #depart(membership: Membership, sender: UserId, isPlaced: boolean): void {
    if (!this.stored.isOfReader || isDeparted(this.stored.membership)) return;
    this.#own(membership, sender, !this.isReaderIn || !isPlaced);
  }

  /** State resolution takes the reader's membership away. */
  lose(): void {
    if (!this.#isStored || !this.isReaderIn) return;
    this.#end = this.#events.length;
    this.#members.delete(alice);
    this.stored.loseReader();
    this.#count();
  }

  forget(): void {
    if (this.stored.isOfReader && isDeparted(this.stored.membership)) this.stored.forget();
  }

  invite(sender: UserId): void {
    this.#strip(Membership.invite, sender);
  }

  knock(): void {
    this.#strip(Membership.knock, alice);
  }

  #strip(membership: Membership, sender: UserId): void {
    if (this.isReaderIn || (this.stored.isOfReader && this.stored.membership === membership)) return;
    if (this.#isStored) this.#own(membership, sender);
    else this.stored.setStripped(membership, sender);
  }

  setCounts(notifications: number, highlights: number): void {
    if (this.isReaderIn) this.stored.setCounts(notifications, highlights);
  }

  #own(membership: Membership, sender: UserId = alice, isOutOfTimeline = false): void {
    const [before, at] = [this.isReaderIn, this.#events.length];
    const tokens = isOutOfTimeline ? {} : { tokenBefore: tokenAt(at), tokenAfter: tokenAt(at + 1) };
    const previous = before ? { previous: "join" as const } : {};
    const event = this.stored.setReader(membership, { sender, isOutOfTimeline, ...tokens, ...previous });
    if (!isOutOfTimeline) this.#note(event, true);
    if (before) this.#end = this.#events.length;
    this.#members.set(alice, membership === Membership.join ? "join" : "leave");
    this.#count();
  }

  /** One batch: all its events are learnt at one position. Not every stream has the exact token before its first. */
  #learn(batch: readonly EventOptions[]): void {
    const position = this.#world.nextPosition();
    const at = this.#events.length;
    const tokenAfter = tokenAt(at + batch.filter(({ isOutOfTimeline }) => isOutOfTimeline !== true).length);
    for (const options of batch) {
      const isExact = at % 3 > 0 && this.#events.length === at;
      const before = isExact ? { tokenBefore: tokenAt(at) } : {};
      const event = this.stored.add({ ...options, ...before, tokenAfter }, position);
      if (options.isOutOfTimeline !== true) this.#note(event, this.isReaderIn);
    }
  }

  #note({ eventId, sender, stateKey, visibility }: ReadEvent, isReaderIn: boolean): void {
    const isOpen = visibility === Visibility.shared;
    this.#events.push({ eventId, sender, isState: stateKey !== undefined, isOpen, isReaderIn });
  }

  /** Events that no stream brought to the store. */
  #hide(count: number): void {
    for (let index = 0; index < count; index++) {
      const eventId = `$hidden${this.#events.length}`;
      this.#events.push({ eventId, sender: carol, isState: false, isOpen: true, isReaderIn: this.isReaderIn });
    }
  }

  /** Who does not come by themselves is invited or sent away by somebody. */
  #memberOf(user: UserId, membership: string): EventOptions {
    const content = { membership, displayname: `${user} at ${this.#world.position}` };
    const sender = membership === "join" || user === bob ? user : bob;
    return { type: "m.room.member", stateKey: user, sender, content };
  }

  /** What a homeserver counts, and whom it names for the room's name. */
  #count(): void {
    const memberships = [...this.#members.values()];
    this.stored.joinedCount = memberships.filter((membership) => membership === "join").length;
    this.stored.invitedCount = memberships.filter((membership) => membership === "invite").length;
    const others = [...this.#members].filter(([user]) => user !== alice);
    const present = others.filter(([, membership]) => membership !== "leave");
    const heroes = (present.length > 0 ? present : others).map(([user]) => user).sort();
    if (!this.#isNamedLate && heroes.join() !== this.stored.heroes.join()) this.stored.setHeroes(heroes);
  }

  /** Whether other streams are ahead of the reader's own, which alone names the heroes. */
  nameLate(isLate: boolean): void {
    this.#isNamedLate = isLate;
    if (this.isReaderIn) this.#count();
  }

  /** Whether an answer may show the event, as things are now. */
  mayShow(eventId: string): boolean {
    const at = this.#events.findIndex((event) => event.eventId === eventId);
    return at >= 0 && this.#isVisible(at);
  }

  /** Whether an answer may show the state event: to who is out of the room, what was there when they left. */
  mayShowState({ type, stateKey, position }: StateEvent): boolean {
    if (type === "m.room.member" && stateKey === alice) return true;
    return this.isReaderIn || (isDeparted(this.stored.membership) && position < this.stored.since);
  }

  #isVisible(at: number): boolean {
    const { isOpen, isReaderIn, isState, sender } = this.#events[at]!;
    if (!this.stored.isOfReader || (!this.isReaderIn && at >= this.#end)) return false;
    return (isOpen || isReaderIn) && (isState || !this.#world.ignored.has(sender));
  }

  /**
   * What a reader of a timeline would miss who scrolls back from every gap in it: an event between two neighbours, or one
   * that no token leads to.
   */
  holesIn(timeline: readonly HeldItem[]): readonly string[] {
    const holes: string[] = [];
    let last = -1;
    let reached = 0;
    for (const item of timeline) {
      if ("token" in item) {
        reached = Math.max(reached, placeOf(item.token));
        continue;
      }
      const at = this.#events.findIndex(({ eventId }) => eventId === item.eventId);
      for (let missing = Math.max(last + 1, reached); missing < at; missing++) {
        if (this.#isVisible(missing)) holes.push(`${this.#events[missing]?.eventId} before ${item.eventId}`);
      }
      if (at <= last) holes.push(`${item.eventId} is not in its place`);
      [last, reached] = [at, 0];
    }
    return holes;
  }
}
