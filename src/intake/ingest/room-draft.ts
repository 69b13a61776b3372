import { ChangeFlag } from "../../model/change.ts";
import { isBumpType } from "../../model/events-that-bump.ts";
import type { ChunkNid, EventId, EventNid, UserId, UserNid } from "../../model/ids.ts";
import {
  type KnownEvent,
  type Landmark,
  type MembershipRow,
  type OrderMark,
  type RoomBefore,
  type RoomWrites,
  type StateChange,
  stateKeyOf,
} from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import { Visibility, visibilityOf } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { columnsOf } from "./columns.ts";
import { type Placement, placeBatch } from "./place.ts";

/** Fresh numbers, each given out once. */
export interface Numbers {
  batch(): number;
  eventNid(): EventNid;
  chunkNid(): ChunkNid;
}

/** Whose stream a section came with. */
export interface Source {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly deviceNid: number;
  /** The user ignores somebody, so that their stream attests for themselves alone. */
  readonly ignoresSomebody: boolean;
  /** Microseconds since 1970. */
  readonly nowUs: number;
}

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
  row: RoomRow;
  /** What decides the room's order in lists: a batch, or a time for a room that was learnt whole. */
  activity: OrderMark | undefined;
  bump: OrderMark | undefined;
  /** Own memberships of known users, as far as earlier sections of this draft changed them. */
  readonly memberships: Map<UserId, MembershipRow>;
  readonly #numbers: Numbers;
  readonly #known: Map<EventId, KnownEvent>;
  readonly #state: Map<string, EventNid>;
  #chunkAttestedFor: UserNid | undefined;
  /** Order keys given out by this draft. */
  readonly #placed: number[] = [];

  constructor(before: RoomBefore, numbers: Numbers) {
    this.before = before;
    this.row = before.row;
    this.#numbers = numbers;
    this.#known = new Map(before.known);
    this.#state = new Map(before.state);
    this.memberships = new Map(before.memberships);
    this.#chunkAttestedFor = before.lastChunkAttestedFor;
    this.writes = {
      room: before.row.room,
      events: [],
      placed: [],
      chunks: [],
      tokens: [],
      state: [],
      memberships: [],
      personal: [],
      transactionIds: [],
    };
  }

  /** Current value of a state key, what earlier sections of this draft changed included. */
  currentState(type: string, stateKey: string): EventNid | undefined {
    return this.#state.get(stateKeyOf(type, stateKey));
  }

  /** Where an event stands now; undefined: in no timeline. */
  orderKeyOf(eventId: EventId): number | undefined {
    return this.#known.get(eventId)?.landmark?.orderKey;
  }

  /** The event was not stored before this draft. */
  isNew(eventId: EventId | undefined): boolean {
    return eventId !== undefined && !this.before.known.has(eventId);
  }

  nidOf(eventId: EventId): EventNid | undefined {
    return this.#known.get(eventId)?.nid;
  }

  apply(section: ParsedSection, source: Source): SectionResult {
    const fold = new SectionFold(this.#numbers.batch(), !this.row.isComplete);
    if (!section.isStateAfter) this.#claimAll(section.state, fold);
    this.#timeline(section, source, fold);
    if (section.isStateAfter) this.#claimAll(section.state, fold);
    this.#summarise(section, fold);
    if (section.fault !== undefined && this.row.quarantined === undefined) {
      this.row = { ...this.row, quarantined: section.fault };
      fold.flags |= ChangeFlag.columns;
    }
    this.writes.state.push(...fold.state.values());
    this.#order(section, source, fold);
    return { batch: fold.batch, flags: fold.flags };
  }

  #claimAll(events: readonly ParsedEvent[], fold: SectionFold): void {
    for (const event of events)
      this.#claim(event, this.#store(event, undefined, this.row.historyVisibility, fold), fold);
  }

  /**
   * A state event says that it is current. It is believed unless it was known before and another value stands: then it is
   * the echo of a slower stream.
   */
  #claim(event: ParsedEvent, stored: { nid: EventNid; isNew: boolean }, fold: SectionFold): void {
    if (event.stateKey === undefined) return;
    const key = stateKeyOf(event.type, event.stateKey);
    const current = this.#state.get(key);
    if (current === stored.nid || (current !== undefined && !stored.isNew)) return;
    this.#state.set(key, stored.nid);
    const earlier = fold.state.get(key);
    fold.state.set(key, {
      type: event.type,
      stateKey: event.stateKey,
      nid: stored.nid,
      previous: earlier === undefined ? current : earlier.previous,
      batch: fold.batch,
      isBaseline: fold.isBaseline,
    });
    const patch = columnsOf(event.type, event.stateKey, event.content);
    this.row = { ...this.row, ...patch };
    fold.flags |= ChangeFlag.state | (Object.keys(patch).length > 0 ? ChangeFlag.columns : 0);
  }

  #timeline(section: ParsedSection, source: Source, fold: SectionFold): void {
    const attestedFor = source.ignoresSomebody ? source.userNid : undefined;
    const { places, newChunkContinues } = this.#place(section, attestedFor);
    if (newChunkContinues !== undefined) this.#startChunk(section, places, newChunkContinues, attestedFor, fold);
    let visibility = this.#visibilityBefore(section);
    section.timeline.forEach((event, index) => {
      const stored = this.#store(event, places[index], visibility, fold);
      if (event.transactionId !== undefined) {
        this.writes.transactionIds.push({
          nid: stored.nid,
          deviceNid: source.deviceNid,
          transactionId: event.transactionId,
        });
      }
      if (event.type === "m.room.history_visibility" && event.stateKey === "") {
        visibility = visibilityOf(event.content.history_visibility);
      }
      if (!section.isStateAfter) this.#claim(event, stored, fold);
    });
    const first = section.timeline[0];
    const firstKey = first && this.orderKeyOf(first.eventId);
    if (section.prevBatch !== undefined && firstKey !== undefined) {
      this.writes.tokens.push({ orderKey: firstKey, token: section.prevBatch });
    }
  }

  #place(section: ParsedSection, attestedFor: UserNid | undefined): Placement {
    const { lastOrderKey, lastChunk } = this.row;
    const landmarks = section.timeline.map(({ eventId }) => this.#landmark(eventId));
    const canGoOn = this.#chunkAttestedFor === attestedFor;
    const hasTail = lastOrderKey !== undefined && lastChunk !== undefined;
    return placeBatch(
      landmarks,
      hasTail ? { orderKey: lastOrderKey, chunk: lastChunk, canGoOn } : undefined,
      section.limited,
    );
  }

  /** The place of an event with its neighbours, those that this draft placed included. */
  #landmark(eventId: EventId): Landmark | undefined {
    const landmark = this.#known.get(eventId)?.landmark;
    if (landmark === undefined || this.#placed.length === 0) return landmark;
    let { previous, next } = landmark;
    for (const key of this.#placed) {
      if (key < landmark.orderKey && key > (previous ?? -Infinity)) previous = key;
      if (key > landmark.orderKey && key < (next ?? Infinity)) next = key;
    }
    return { ...landmark, previous, next };
  }

  #startChunk(
    section: ParsedSection,
    places: Placement["places"],
    continues: boolean,
    attestedFor: UserNid | undefined,
    fold: SectionFold,
  ): void {
    fold.newChunk = this.#numbers.chunkNid();
    const first = section.timeline[places.findIndex((place) => place?.chunk === "new")];
    const isStart = first?.type === "m.room.create" && first.stateKey === "";
    this.writes.chunks.push({ chunk: fold.newChunk, attestedFor, continues, isStart });
    this.#chunkAttestedFor = attestedFor;
  }

  /** With `state_after` the value before a change within the timeline is not told. */
  #visibilityBefore(section: ParsedSection): Visibility {
    if (this.row.isComplete || !section.isStateAfter) return this.row.historyVisibility;
    if (section.timeline.some(({ type }) => type === "m.room.history_visibility")) return Visibility.unknown;
    const stated = section.state.find(({ type }) => type === "m.room.history_visibility");
    return stated === undefined ? Visibility.shared : visibilityOf(stated.content.history_visibility);
  }

  #store(
    event: ParsedEvent,
    place: Placement["places"][number],
    visibility: Visibility,
    fold: SectionFold,
  ): { nid: EventNid; isNew: boolean } {
    const known = this.#known.get(event.eventId);
    const chunk = place?.chunk === "new" ? fold.newChunk : place?.chunk;
    const nid = known?.nid ?? this.#numbers.eventNid();
    const { batch } = fold;
    if (place !== undefined && chunk !== undefined) {
      const { orderKey } = place;
      if (known !== undefined) this.writes.placed.push({ nid, orderKey, chunk, visibility, batch });
      this.#known.set(event.eventId, {
        nid,
        landmark: { orderKey, chunk, previous: place.previous, next: place.next },
      });
      this.#placed.push(orderKey);
      this.#moveEnds(event, orderKey, chunk, place.isAtEnd, fold);
    } else if (known === undefined) {
      this.#known.set(event.eventId, { nid, landmark: undefined });
    }
    if (known === undefined)
      this.writes.events.push({ nid, event, orderKey: place?.orderKey, chunk, visibility, batch });
    return { nid, isNew: known === undefined };
  }

  #moveEnds(event: ParsedEvent, orderKey: number, chunk: ChunkNid, isAtEnd: boolean, fold: SectionFold): void {
    const { firstOrderKey, lastOrderKey } = this.row;
    if (isAtEnd) {
      fold.appended = event;
      fold.flags |= ChangeFlag.activity;
      if (isBumpType(event.type)) fold.bumped = event;
    } else {
      fold.flags |= ChangeFlag.history;
    }
    this.row = {
      ...this.row,
      firstOrderKey: Math.min(firstOrderKey ?? orderKey, orderKey),
      ...(isAtEnd && orderKey > (lastOrderKey ?? -Infinity) ? { lastOrderKey: orderKey, lastChunk: chunk } : {}),
    };
  }

  #summarise({ summary }: ParsedSection, fold: SectionFold): void {
    if (summary === undefined) return;
    const joinedCount = summary.joinedCount ?? this.row.joinedCount;
    const invitedCount = summary.invitedCount ?? this.row.invitedCount;
    if (joinedCount === this.row.joinedCount && invitedCount === this.row.invitedCount) return;
    this.row = { ...this.row, joinedCount, invitedCount };
    fold.flags |= ChangeFlag.columns;
  }

  /** A room that is learnt whole is as old as its last event; one that goes on comes first. */
  #order(section: ParsedSection, source: Source, fold: SectionFold): void {
    const atTime = (event: ParsedEvent): OrderMark => ({
      batch: undefined,
      us: Math.max(0, Math.min(event.originServerTsMs * 1000, source.nowUs)),
    });
    const isLive = !fold.isBaseline;
    if (fold.appended !== undefined) {
      this.activity = isLive ? { batch: fold.batch, us: 0 } : atTime(fold.appended);
    }
    if (fold.bumped !== undefined) {
      this.bump = isLive ? { batch: fold.batch, us: 0 } : atTime(fold.bumped);
      fold.flags |= ChangeFlag.bump;
    } else if (fold.isBaseline && this.bump === undefined) {
      const oldest = section.timeline[0];
      if (oldest !== undefined) this.bump = atTime(oldest);
    }
    if (fold.isBaseline && fold.flags !== 0) fold.flags |= ChangeFlag.columns | ChangeFlag.history;
  }
}

/** What one section has changed so far. */
class SectionFold {
  readonly batch: number;
  readonly isBaseline: boolean;
  readonly state = new Map<string, StateChange>();
  flags = 0;
  newChunk: ChunkNid | undefined;
  appended: ParsedEvent | undefined;
  bumped: ParsedEvent | undefined;

  constructor(batch: number, isBaseline: boolean) {
    this.batch = batch;
    this.isBaseline = isBaseline;
  }
}
