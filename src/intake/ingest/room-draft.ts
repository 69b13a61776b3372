import { isBumpType } from "../../model/events-that-bump.ts";
import type { ChunkNid, EventNid, UserId, UserNid } from "../../model/ids.ts";
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
import { EventBook } from "./event-book.ts";
import { liveMark, timeMark } from "./order-mark.ts";
import { type Place, type Placement, placeBatch } from "./place.ts";
import { SectionFold } from "./section-fold.ts";
import type { Numbers, Source } from "./source.ts";
import { isBelieved, isCreation, isVisibilityEvent } from "./state-claim.ts";

/** What one section did to the room, for those who hold it in memory; `flags` 0: nothing. */
export interface SectionResult {
  readonly batch: number;
  readonly flags: number;
}

/**
 * Folds sections of one room, one after the other, into what is to be written. Pure: it starts from what was read and
 * ends in {@link writes}, {@link row}, {@link activity} and {@link bump}.
 */
export class RoomDraft {
  readonly before: RoomBefore;
  readonly writes: RoomWrites;
  readonly events: EventBook;
  row: RoomRow;
  /** What decides the room's order in lists; undefined: what is stored stands. */
  activity: OrderMark | undefined;
  bump: OrderMark | undefined;
  /** Own memberships of known users, as far as earlier sections of this draft changed them. */
  readonly memberships: Map<UserId, MembershipRow>;
  readonly #numbers: Numbers;
  readonly #state: Map<string, StateValue>;
  /** For whom chunks are attested that events are put into; undefined: everybody. */
  readonly #attestedFor = new Map<ChunkNid, UserNid | undefined>();

  constructor(before: RoomBefore, numbers: Numbers) {
    this.before = before;
    this.row = before.row;
    this.events = new EventBook(before.known);
    this.#numbers = numbers;
    this.#state = new Map(before.state);
    this.memberships = new Map(before.memberships);
    if (before.row.lastChunk !== undefined) this.#attestedFor.set(before.row.lastChunk, before.end.attestedFor);
    this.writes = {
      room: before.row.room,
      events: [],
      placed: [],
      chunks: [],
      joined: [],
      tokens: [],
      state: [],
      memberships: [],
      personal: [],
      transactionIds: [],
    };
  }

  /** Current value of a state key, what earlier sections of this draft changed included. */
  currentState(type: string, stateKey: string): EventNid | undefined {
    return this.#state.get(stateKeyOf(type, stateKey))?.nid;
  }

  apply(section: ParsedSection, source: Source): SectionResult {
    const fold = new SectionFold(this.#numbers.batch(), section, source, this.row);
    const visibility = this.#visibilityBefore(fold);
    if (!section.isStateAfter) this.#claimAll(fold);
    this.#timeline(fold, visibility);
    if (section.isStateAfter) this.#claimAll(fold);
    if (section.kind === "join") this.#summarise(fold);
    this.#judge(fold);
    this.#order(fold);
    this.writes.state.push(...fold.stateChanges());
    return { batch: fold.batch, flags: fold.flags(this.row) };
  }

  /** Stores an event that stands in no timeline and says nothing of the room's state. */
  keep(event: ParsedEvent, batch: number): void {
    if (this.events.nidOf(event.eventId) !== undefined) return;
    const nid = this.#numbers.eventNid();
    this.events.add(event.eventId, nid, undefined);
    const { historyVisibility: visibility } = this.row;
    this.writes.events.push({ nid, event, orderKey: undefined, chunk: undefined, visibility, batch });
  }

  #claimAll(fold: SectionFold): void {
    for (const event of fold.section.state) {
      this.#claim(event, this.#store(event, undefined, this.row.historyVisibility, fold), fold);
    }
  }

  #claim(event: ParsedEvent, nid: EventNid, fold: SectionFold): void {
    if (event.stateKey === undefined) return;
    if (isCreation(event)) fold.hasCreate = true;
    const key = stateKeyOf(event.type, event.stateKey);
    const current = this.#state.get(key);
    if (current?.nid !== nid && (current === undefined || this.#isBelieved(event, current, fold))) {
      this.#state.set(key, { nid, position: undefined });
      const earlier = fold.state.get(key);
      fold.state.set(key, {
        type: event.type,
        stateKey: event.stateKey,
        nid,
        previous: earlier === undefined ? current?.nid : earlier.previous,
        batch: fold.batch,
        isBaseline: fold.isBaseline,
      });
      this.row = { ...this.row, ...columnsOf(event.type, event.stateKey, event.content) };
    }
    fold.seen.add(nid);
  }

  #isBelieved(event: ParsedEvent, current: StateValue, fold: SectionFold): boolean {
    if (fold.isAuthority) return true;
    return isBelieved({
      event,
      current,
      isNew: this.events.isNew(event.eventId),
      isCurrentSeen: fold.seen.has(current.nid),
      kind: fold.section.kind,
      source: fold.source,
      visibility: this.row.historyVisibility,
    });
  }

  #timeline(fold: SectionFold, visibilityBefore: Visibility): void {
    const { section, source } = fold;
    const { places, newChunkContinues, joined } = this.#place(fold);
    if (newChunkContinues !== undefined) this.#startChunk(places, newChunkContinues, fold);
    this.writes.joined.push(...joined);
    if (joined.length > 0) fold.hasHistory = true;
    let visibility = visibilityBefore;
    section.timeline.forEach((event, index) => {
      const nid = this.#store(event, places[index], visibility, fold);
      if (isVisibilityEvent(event)) visibility = visibilityOf(event.content.history_visibility);
      if (section.isStateAfter) fold.seen.add(nid);
      else this.#claim(event, nid, fold);
      const { transactionId } = event;
      const { deviceNid } = source;
      if (transactionId !== undefined) this.writes.transactionIds.push({ nid, deviceNid, transactionId });
    });
    this.#markBegin(fold);
  }

  /** Keeps the token that stands before the timeline, or the hole before a timeline that has no event. */
  #markBegin(fold: SectionFold): void {
    const { timeline, prevBatch, limited, kind } = fold.section;
    const [first] = timeline;
    const orderKey = first && this.events.orderKeyOf(first.eventId);
    if (prevBatch !== undefined && orderKey !== undefined) this.writes.tokens.push({ orderKey, token: prevBatch });
    if (first === undefined && limited && kind === "join" && this.row.lastOrderKey !== undefined) {
      const chunk = this.#startChunk([], false, fold);
      this.row = { ...this.row, lastChunk: chunk };
      fold.hasHistory = true;
    }
  }

  #place({ section, source }: SectionFold): Placement {
    const { lastOrderKey: orderKey, lastChunk: chunk } = this.row;
    const landmarks = section.timeline.map(({ eventId }) => this.events.landmark(eventId));
    for (const landmark of landmarks) {
      if (landmark !== undefined) this.#attestedFor.set(landmark.chunk, landmark.attestedFor);
    }
    const hasTail = orderKey !== undefined && chunk !== undefined;
    return placeBatch(landmarks, hasTail ? { orderKey, chunk, attestedFor: this.#attestedFor.get(chunk) } : undefined, {
      // A first sync knows nothing of what came before it.
      limited: section.limited || source.poll === "first",
      reachesEnd: section.kind === "join",
      attestedFor: attestedBy(source),
    });
  }

  #startChunk(places: Placement["places"], continues: boolean, fold: SectionFold): ChunkNid {
    const first = fold.section.timeline[places.findIndex((place) => place?.chunk === "new")];
    const chunk = this.#numbers.chunkNid();
    const attestedFor = attestedBy(fold.source);
    this.writes.chunks.push({ chunk, attestedFor, continues, isStart: isCreation(first) });
    this.#attestedFor.set(chunk, attestedFor);
    fold.newChunk = chunk;
    return chunk;
  }

  /** In force before the first event of the timeline. With `state_after` the value before a change is not always told. */
  #visibilityBefore({ section, isBaseline }: SectionFold): Visibility {
    const stated = section.state.findLast(isVisibilityEvent);
    const statedValue = stated && visibilityOf(stated.content.history_visibility);
    const known = isBaseline ? Visibility.shared : this.row.historyVisibility;
    if (!section.isStateAfter) return statedValue ?? known;
    const isChangedInside = section.timeline.some(isVisibilityEvent);
    if (isBaseline && !isChangedInside) return statedValue ?? known;
    if (isBaseline) return isCreation(section.timeline[0]) ? known : Visibility.unknown;
    const isToldWhen = stated === undefined || this.#isCurrent(stated) || (isChangedInside && !section.limited);
    return isToldWhen ? known : Visibility.unknown;
  }

  #isCurrent({ type, stateKey = "", eventId }: ParsedEvent): boolean {
    const nid = this.events.nidOf(eventId);
    return nid !== undefined && this.currentState(type, stateKey) === nid;
  }

  #store(event: ParsedEvent, place: Place | undefined, visibility: Visibility, fold: SectionFold): EventNid {
    const known = this.events.nidOf(event.eventId);
    const nid = known ?? this.#numbers.eventNid();
    const chunk = place?.chunk === "new" ? fold.newChunk : place?.chunk;
    const { batch } = fold;
    if (place !== undefined && chunk !== undefined) {
      if (known !== undefined) {
        this.writes.placed.push({ nid, orderKey: place.orderKey, chunk, visibility, batch });
      }
      this.#notePlace(event, nid, place, chunk, fold);
    } else if (known === undefined) {
      this.events.add(event.eventId, nid, undefined);
    }
    if (known === undefined) {
      this.writes.events.push({ nid, event, orderKey: place?.orderKey, chunk, visibility, batch });
    }
    return nid;
  }

  #notePlace(event: ParsedEvent, nid: EventNid, place: Place, chunk: ChunkNid, fold: SectionFold): void {
    const { orderKey, previous, next, isAtEnd } = place;
    // `continues` keeps later sections of this draft from closing a hole before a chunk that is not stored yet.
    const attestedFor = this.#attestedFor.get(chunk);
    const landmark = { orderKey, chunk, previous, next, attestedFor, continues: true };
    this.events.add(event.eventId, nid, landmark);
    if (isAtEnd) {
      fold.appended = event;
      if (isBumpType(event.type)) fold.bumped = event;
    } else {
      fold.hasHistory = true;
    }
    const { firstOrderKey, lastOrderKey } = this.row;
    this.row = {
      ...this.row,
      firstOrderKey: Math.min(firstOrderKey ?? orderKey, orderKey),
      ...(isAtEnd && orderKey > (lastOrderKey ?? -Infinity) ? { lastOrderKey: orderKey, lastChunk: chunk } : {}),
    };
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

  #order(fold: SectionFold): void {
    const { appended, bumped, isLive, batch, section, source } = fold;
    const mark = (event: ParsedEvent, drafted: OrderMark | undefined, stored: number) =>
      isLive ? liveMark(batch) : timeMark(event, { drafted, stored }, source.nowUs);
    const { end } = this.before;
    if (appended !== undefined) this.activity = mark(appended, this.activity, end.activity);
    const [oldest] = section.timeline;
    if (bumped !== undefined) this.bump = mark(bumped, this.bump, end.bump);
    else if (fold.isBaseline && oldest !== undefined) this.bump = mark(oldest, this.bump, end.bump);
  }
}

/** Somebody who ignores others attests for nobody but themselves. */
const attestedBy = ({ ignoresSomebody, userNid }: Source): UserNid | undefined =>
  ignoresSomebody ? userNid : undefined;
