import { isJsonObject, type JsonObject, parseJson } from "../../lib/json-value.ts";
import type { EventNid, UserId } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import { justSentAfterMs } from "../../model/own-events.ts";
import {
  type MembershipRow,
  type OrderMark,
  type RoomBefore,
  type RoomWrites,
  type StateValue,
  stateKeyOf,
} from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import { Visibility, visibilityOf } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { columnsOf } from "./columns.ts";
import type { OpenQuestion } from "./contest.ts";
import { contestsOf } from "./contests-of.ts";
import { emptyWrites } from "./empty-writes.ts";
import { encryptionAfter } from "./encryption-after.ts";
import type { EventBook } from "./event-book.ts";
import { membersAfter } from "./members-after.ts";
import { liveMark, timeMark } from "./order-mark.ts";
import { openHistory, upToKnown } from "./place-history.ts";
import { RedactionDraft } from "./redaction-draft.ts";
import { SectionFold } from "./section-fold.ts";
import type { Numbers, Source } from "./source.ts";
import {
  isCreation,
  isDepartureOf,
  isLasting,
  isVisibilityEvent,
  type Standing,
  standingOf,
  wasStoredBefore,
} from "./state-claim.ts";
import { TimelineDraft } from "./timeline-draft.ts";
import { untoldMembers } from "./untold-members.ts";
import { visibilityBefore } from "./visibility-before.ts";

/** What one section did to the room, for those who hold it in memory; `flags` 0: nothing. */
export interface SectionResult {
  readonly batch: number;
  readonly flags: number;
  /** Answers of the user may be waiting for it: it has what the user has just sent, and what another stream brought before. */
  readonly hasSent: boolean;
}

/**
 * Folds sections of one room, one after the other, into what is to be written. Pure: it starts from what was read and
 * ends in {@link writes}, {@link row}, {@link activity} and {@link bump}.
 */
export class RoomDraft {
  readonly writes: RoomWrites;
  row: RoomRow;
  /** What decides the room's order in lists; undefined: what is stored stands. */
  activity: OrderMark | undefined;
  bump: OrderMark | undefined;
  /** Own memberships of known users, as far as earlier sections of this draft changed them. */
  readonly memberships: Map<UserId, MembershipRow>;
  /** Whose own response changed a membership last, in this draft: what else that response says of it follows. */
  readonly movedBy = new Map<UserId, Source>();
  /** What the homeserver has to be asked. */
  readonly contests: OpenQuestion[] = [];
  readonly #before: RoomBefore;
  readonly #numbers: Numbers;
  readonly #state: Map<string, StateValue>;
  readonly #timeline: TimelineDraft;
  readonly #redactions: RedactionDraft;

  constructor(before: RoomBefore, numbers: Numbers) {
    this.#before = before;
    this.row = before.row;
    this.memberships = new Map(before.memberships);
    this.writes = emptyWrites(before);
    this.#numbers = numbers;
    this.#state = new Map(before.state);
    this.#timeline = new TimelineDraft(before, this.writes, numbers);
    this.#redactions = new RedactionDraft(before, this.writes, this.#timeline.events);
  }

  get events(): Pick<EventBook, "nidOf" | "orderKeyOf" | "isNew"> {
    return this.#timeline.events;
  }

  /** Current value of a state key, what earlier sections of this draft changed included. */
  currentState(type: string, stateKey: string): EventNid | undefined {
    return this.#state.get(stateKeyOf(type, stateKey))?.nid;
  }

  apply(section: ParsedSection, source: Source): SectionResult {
    const fold = new SectionFold(this.#numbers.batch(), section, source, this.row);
    const visibility = visibilityBefore(fold, this.row, (event) => this.#isCurrent(event));
    if (!section.isStateAfter) this.#claimAll(fold);
    this.#readTimeline(fold, visibility);
    if (section.isStateAfter) this.#claimAll(fold);
    this.#retract(fold);
    if (section.kind === "join") this.#summarise(fold);
    this.row = { ...this.row, ...membersAfter(fold, this.row) };
    this.#judge(fold);
    this.#redact(fold);
    this.#order(fold);
    this.row = { ...this.row, ...this.#timeline.ends, ...encryptionAfter(fold, this.row, this.events) };
    for (const change of fold.stateChanges()) this.writes.state.push(change);
    this.#contest(fold);
    return { batch: fold.batch, flags: fold.flags(this.row), hasSent: fold.hasSent };
  }

  /** Puts in older events, as far as all members may see them. `after`: in force after the last of them. */
  applyHistory(page: ParsedSection, source: Source, after: Visibility): SectionResult {
    const { section, visibilities } = openHistory(upToKnown(page, source, this.#timeline.events), after);
    const fold = new SectionFold(this.#numbers.batch(), section, source, this.row);
    const places = this.#timeline.placeHistory(fold);
    if (places === undefined) return { batch: fold.batch, flags: 0, hasSent: false };
    section.timeline.forEach((event, index) => {
      const nid = this.#timeline.store(event, places[index], visibilities[index] ?? Visibility.unknown, fold);
      this.#noteTransaction(event, nid, source);
    });
    this.#timeline.keepToken(section);
    this.#redact(fold);
    this.row = { ...this.row, ...this.#timeline.ends };
    this.#contest(fold);
    return { batch: fold.batch, flags: fold.flags(this.row), hasSent: false };
  }

  #contest(fold: SectionFold): void {
    const wasJoined = this.memberships.get(fold.source.userId)?.membership === Membership.join;
    const isStored = (key: string) => this.#state.get(key)?.nid !== undefined;
    this.contests.push(...contestsOf(fold, this.row, { wasJoined, isStored, isFollowed: this.#before.end.isFollowed }));
  }

  #noteTransaction({ transactionId }: ParsedEvent, nid: EventNid, { deviceNid }: Source): void {
    if (transactionId !== undefined) this.writes.transactionIds.push({ nid, deviceNid, transactionId });
  }

  /** Stores an event that is not known and says nothing of the room. */
  keep(event: ParsedEvent, batch: number): void {
    this.#timeline.keep(event, this.row.historyVisibility, batch);
    this.#redactions.settle({ state: [event], timeline: [] }, this.#roomVersion());
  }

  #claimAll(fold: SectionFold): void {
    for (const event of fold.section.state) {
      this.#claim(event, this.#timeline.store(event, undefined, this.row.historyVisibility, fold), fold);
    }
  }

  #claim(event: ParsedEvent, nid: EventNid, fold: SectionFold): void {
    if (event.stateKey === undefined) return;
    // Single values make no room whole.
    if (isCreation(event) && fold.source.poll !== "asked") fold.hasCreate = true;
    const key = stateKeyOf(event.type, event.stateKey);
    const stored = this.#state.get(key);
    // What acts without proof proves nothing of what follows it.
    const current = fold.unproven.get(key) ?? stored;
    const isSame = current?.nid === nid;
    const standing = current === undefined || isSame ? "proven" : this.#standingOf(event, current, fold);
    fold.note(key, event.type, event.stateKey, standing, current);
    if (stored?.nid !== nid && standing !== "unproven") {
      this.#state.set(key, { nid, position: isSame ? current.position : undefined });
      fold.change(key, { type: event.type, stateKey: event.stateKey, nid, previous: stored?.nid });
      this.row = { ...this.row, ...columnsOf(event.type, event.stateKey, event.content) };
    }
    fold.seen.add(nid);
  }

  /** That there is no value is a claim, too: it stands against what was stored before the homeserver was asked. */
  #retract(fold: SectionFold): void {
    for (const { type, stateKey } of fold.section.absent ?? []) {
      const key = stateKeyOf(type, stateKey);
      const stored = this.#state.get(key);
      if (stored?.nid === undefined || isLasting(type, stateKey)) continue;
      const isProven = wasStoredBefore(stored.position, fold.source);
      fold.note(key, type, stateKey, isProven ? "proven" : "unproven", stored);
      if (!isProven) continue;
      this.#state.set(key, { nid: undefined, position: undefined });
      fold.change(key, { type, stateKey, nid: undefined, previous: stored.nid });
      this.row = { ...this.row, ...columnsOf(type, stateKey, {}) };
      // Who holds the room in memory reads it again.
      fold.hasHistory = true;
    }
  }

  #standingOf(event: ParsedEvent, current: StateValue, fold: SectionFold): Standing {
    if (fold.isAuthority) return "proven";
    return standingOf({
      event,
      current,
      isNew: this.events.isNew(event.eventId),
      isCurrentSeen: current.nid !== undefined && fold.seen.has(current.nid),
      section: fold.section,
      source: fold.source,
      visibility: this.row.historyVisibility,
    });
  }

  #readTimeline(fold: SectionFold, visibilityBefore: Visibility): void {
    const { section, source } = fold;
    const wasJoined = this.memberships.get(source.userId)?.membership === Membership.join;
    const places = this.#timeline.place(fold, { wasJoined, visibility: visibilityBefore });
    const untold = untoldMembers(section);
    let visibility = visibilityBefore;
    section.timeline.forEach((event, index) => {
      const nid = this.#timeline.store(event, places[index], visibility, fold);
      if (isVisibilityEvent(event)) visibility = visibilityOf(event.content.history_visibility);
      const isUntold = untold.has(event);
      const claims = !section.isStateAfter || (isUntold && isDepartureOf(event, event.stateKey));
      if (claims) this.#claim(event, nid, fold);
      // State of a room that its user left is of then, whatever its timeline has.
      else if (section.kind === "join") fold.seen.add(nid);
      if (isUntold && (claims || !this.#isCurrent(event))) fold.ask(event);
      this.#keepSender(event, nid, fold);
    });
    this.#timeline.keepToken(section);
  }

  /** Of what its user has just sent the device's own stream says whether this device sent it. */
  #keepSender(event: ParsedEvent, nid: EventNid, fold: SectionFold): void {
    const { userId, deviceNid, nowUs } = fold.source;
    const { transactionId } = event;
    const isSent = event.sender === userId && event.stateKey === undefined;
    const isJustSent = isSent && event.originServerTsMs > justSentAfterMs(nowUs / 1000);
    if (transactionId === undefined && !isJustSent) return;
    this.writes.transactionIds.push({ nid, deviceNid, transactionId });
    fold.hasSent ||= isJustSent && !this.events.isNew(event.eventId);
  }

  #isCurrent({ type, stateKey = "", eventId }: ParsedEvent): boolean {
    const nid = this.events.nidOf(eventId);
    return nid !== undefined && this.currentState(type, stateKey) === nid;
  }

  #summarise({ section: { summary } }: SectionFold): void {
    if (summary === undefined) return;
    const joinedCount = summary.joinedCount ?? this.row.joinedCount;
    const invitedCount = summary.invitedCount ?? this.row.invitedCount;
    this.row = { ...this.row, joinedCount, invitedCount };
  }

  /** What the section as a whole says of the room: complete, encrypted, to be set aside. */
  #judge({ section, hasCreate }: SectionFold): void {
    const isWhole = section.kind === "join" && hasCreate;
    const quarantined = section.fault ?? (isWhole ? undefined : this.row.quarantined);
    this.row = {
      ...this.row,
      isComplete: this.row.isComplete || isWhole,
      isEncrypted: this.row.isEncrypted || section.isEncrypted,
      quarantined,
    };
  }

  /** Last, when the room's version is known. What is current and was redacted is told anew; its place among claims stays. */
  #redact(fold: SectionFold): void {
    const changed = new Set(fold.stateChanges().map(({ nid }) => nid));
    this.#keepRedacted(fold.section);
    for (const event of this.#redactions.settle(fold.section, this.#roomVersion())) {
      const { nid, type, stateKey, isStored, isRedacted, isCurrent } = event;
      fold.hasHistory ||= isStored;
      if (!isRedacted || stateKey === undefined) continue;
      // Keys that no section names are not in the draft.
      if ((this.currentState(type, stateKey) ?? (isCurrent ? nid : undefined)) !== nid) continue;
      this.row = { ...this.row, ...columnsOf(type, stateKey, contentOf(event.body)) };
      if (!isStored || fold.isBaseline || changed.has(nid)) continue;
      this.writes.redactedState.push({ type, stateKey, nid, batch: fold.batch });
      fold.hasRedactedState = true;
    }
  }

  /** What was redacted says nothing, also where a slow stream brings it as it was and makes it current. */
  #keepRedacted({ state, timeline }: ParsedSection): void {
    for (const event of [...state, ...timeline]) {
      const { type, stateKey, body } = event;
      const counting = this.#redactions.bodyOf(event, this.#roomVersion());
      if (counting === body || stateKey === undefined || !this.#isCurrent(event)) continue;
      this.row = { ...this.row, ...columnsOf(type, stateKey, contentOf(counting)) };
    }
  }

  /** A room whose creation names none has the first version. */
  #roomVersion(): string | undefined {
    return this.row.roomVersion ?? (this.row.isComplete ? "1" : undefined);
  }

  #order(fold: SectionFold): void {
    const { appended, bumped, isLive, batch, section, source } = fold;
    const { end } = this.#before;
    const mark = (event: ParsedEvent, drafted: OrderMark | undefined, stored: number) =>
      isLive ? liveMark(batch) : timeMark(event, { drafted, stored }, source.nowUs);
    if (appended !== undefined) this.activity = mark(appended, this.activity, end.activity);
    const [oldest] = section.timeline;
    const bumping = bumped ?? (fold.isBaseline ? oldest : undefined);
    if (bumping !== undefined) this.bump = mark(bumping, this.bump, end.bump);
  }
}

function contentOf(body: Buffer): JsonObject {
  const event = parseJson(body);
  return isJsonObject(event) && isJsonObject(event.content) ? event.content : {};
}
