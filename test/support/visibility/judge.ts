import type { RoomAnswer } from "../../../src/engine/response.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { Ledger, StoredTime } from "./ledger.ts";
import { type TrueEvent, type TrueMembership, VisibilityModel } from "./model.ts";

/** Of the reader and the room of an answer. */
export interface Judging {
  readonly reader: string;
  readonly roomId: string;
  readonly events: readonly TrueEvent[];
  readonly ledger: Ledger;
  /** All that was stored by then was known to who answered. */
  readonly knownAt: StoredTime;
}

/** Something that a reader is shown and may not know. */
export interface Violation {
  readonly text: string;
  /** It is a value of a state key, as `type key`, told to who is in the room: another may be in force already. */
  readonly stateKey?: string;
}

const NAMES = Object.fromEntries(Object.entries(Membership).map(([name, value]) => [value, name]));

const isStripped = ({ membership }: RoomAnswer) => membership === Membership.invite || membership === Membership.knock;
const isOut = ({ membership }: RoomAnswer) => membership === Membership.leave || membership === Membership.ban;

function inviterIn(stripped: string | undefined, reader: string): string {
  const events = JSON.parse(stripped ?? "[]") as { state_key: string; sender: string; content: object }[];
  const isInvite = ({ state_key, content }: (typeof events)[number]) =>
    state_key === reader && "membership" in content && content.membership === "invite";
  return events.find(isInvite)?.sender ?? "";
}

/** Judges what one answer says of a room. */
export class Judge {
  readonly violations: Violation[] = [];
  /** How much was looked at. */
  looks = 0;
  readonly #judging: Judging;
  readonly #answer: RoomAnswer;
  readonly #models = new Map<StoredTime, VisibilityModel>();
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #isIgnored: (sender: string) => boolean;

  constructor(judging: Judging, answer: RoomAnswer) {
    this.#judging = judging;
    this.#answer = answer;
    this.#indexes = new Map(judging.events.map(({ eventId }, index) => [eventId, index]));
    this.#isIgnored = judging.ledger.ignoredSince(judging.reader, judging.knownAt);
  }

  judge(): void {
    const { roomId, reader } = this.#judging;
    const answer = this.#answer;
    this.#require(answer.roomId === roomId, `room ${answer.roomId}`);
    this.#membership(NAMES[answer.membership] as TrueMembership);
    if (isStripped(answer)) this.#bare();
    this.#ownWord();
    for (const { event, transactionId } of answer.timeline?.events ?? []) {
      this.#timelineEvent(event.eventId);
      this.#require(transactionId === undefined || event.sender === reader, `transaction id of ${event.eventId}`);
    }
    for (const { eventId, stateKey } of answer.requiredState) {
      // A departure of which no event is known is told by one that is made up.
      const isMadeUp = isOut(answer) && stateKey === reader && eventId.startsWith("$departure-");
      if (!isMadeUp) this.#stateEvent(eventId);
    }
    if (answer.name !== undefined) this.#value("m.room.name", "", "name", answer.name);
    if (answer.avatar) this.#value("m.room.avatar", "", "url", answer.avatar);
    for (const { userId, displayName, avatarUrl } of answer.heroes ?? []) {
      if (displayName !== undefined) this.#value("m.room.member", userId, "displayname", displayName);
      if (avatarUrl !== undefined) this.#value("m.room.member", userId, "avatar_url", avatarUrl);
    }
    this.#counts();
  }

  #membership(membership: TrueMembership): void {
    if (membership === "leave" || membership === "ban") return;
    this.#require(this.#modelAt(this.#judging.knownAt).mayBe(membership), `membership ${membership}`);
  }

  /** Of a room that a reader is asked into, or asks into, they see stripped state alone. */
  #bare(): void {
    const { timeline, requiredState, name, avatar, heroes, joinedCount, invitedCount } = this.#answer;
    const others = [timeline, name, avatar ?? undefined, heroes, joinedCount, invitedCount];
    const isBare = requiredState.length === 0 && others.every((each) => each === undefined);
    this.#require(isBare, "more than stripped state");
  }

  /** What is told by nothing but the reader's own stream. */
  #ownWord(): void {
    const { strippedState, notificationCount, highlightCount, heroes = [] } = this.#answer;
    const own = this.#judging.ledger.of(this.#judging.reader);
    const stripped = strippedState && JSON.stringify(JSON.parse(strippedState.toString()));
    this.#require(stripped === undefined || own.stripped.has(stripped), `stripped state ${stripped}`);
    this.#require(!this.#isIgnored(inviterIn(stripped, this.#judging.reader)), "an invite of somebody who is ignored");
    this.#require(own.notifications.has(notificationCount), `${notificationCount} unread`);
    this.#require(own.highlights.has(highlightCount), `${highlightCount} highlights`);
    for (const { userId } of heroes) this.#require(own.heroes.has(userId), `hero ${userId}`);
  }

  #counts(): void {
    const { joinedCount, invitedCount } = this.#answer;
    const model = this.#modelAt(this.#judging.knownAt);
    if (joinedCount !== undefined) this.#require(model.mayCount("join", joinedCount), `${joinedCount} joined`);
    if (invitedCount !== undefined) this.#require(model.mayCount("invite", invitedCount), `${invitedCount} invited`);
  }

  #timelineEvent(eventId: string): void {
    const index = this.#indexes.get(eventId) ?? -1;
    const event = this.#judging.events[index];
    const model = this.#modelFor(eventId);
    // What is in force is told to everybody who is in.
    this.#require(model.maySee(index) || model.mayKnow(index), `event ${this.#describe(index)}`);
    const isHidden = event !== undefined && event.stateKey === undefined && this.#isIgnored(event.sender);
    this.#require(!isHidden, `event of somebody who is ignored, ${this.#describe(index)}`);
  }

  #stateEvent(eventId: string): void {
    const index = this.#indexes.get(eventId) ?? -1;
    const { type, stateKey } = this.#judging.events[index] ?? {};
    const isKnown = this.#modelFor(eventId).mayKnow(index);
    this.#require(isKnown, `state ${this.#describe(index)}`, `${type} ${stateKey}`);
  }

  /** A text that events of the type say, one of which the reader may know. */
  #value(type: string, stateKey: string, key: string, text: string): void {
    const saying = this.#judging.events.filter(
      (event) => event.type === type && event.stateKey === stateKey && event.content[key] === text,
    );
    const isKnown = saying.some(({ eventId }) => this.#modelFor(eventId).mayKnow(this.#indexes.get(eventId) ?? -1));
    this.#require(isKnown, `${type} ${stateKey}: ${text}`, `${type} ${stateKey}`);
  }

  /** What was brought after that of which the answering process was known to know came with what it knew then. */
  #modelFor(eventId: string): VisibilityModel {
    const { ledger, knownAt } = this.#judging;
    return this.#modelAt(Math.max(knownAt, ledger.broughtAt(eventId) ?? knownAt));
  }

  #modelAt(time: StoredTime): VisibilityModel {
    const { events, reader, ledger } = this.#judging;
    const model = this.#models.get(time) ?? new VisibilityModel({ events, reader, isTold: ledger.isToldBy(time) });
    this.#models.set(time, model);
    return model;
  }

  #describe(index: number): string {
    const event = this.#judging.events[index];
    return event === undefined ? "that is made up" : `no. ${index} ${event.type} ${JSON.stringify(event.content)}`;
  }

  #require(isAllowed: boolean, what: string, stateKey?: string): void {
    this.looks += 1;
    if (isAllowed) return;
    const text = `${this.#judging.reader} is shown ${what}`;
    const isIn = this.#answer.membership === Membership.join;
    this.violations.push(stateKey === undefined || !isIn ? { text } : { text, stateKey });
  }
}
