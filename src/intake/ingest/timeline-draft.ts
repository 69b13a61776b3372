import { isBumpType } from "../../model/events-that-bump.ts";
import type { ChunkNid, EventNid, UserNid } from "../../model/ids.ts";
import { Membership, membershipOf } from "../../model/membership.ts";
import type { Landmark, RoomBefore, RoomWrites } from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { Visibility, visibilityOf } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { EventBook } from "./event-book.ts";
import { furthestOf, type Landmarks, type Place, type Placement, placeBatch, type Tail } from "./place.ts";
import { placeHistory } from "./place-history.ts";
import type { SectionFold } from "./section-fold.ts";
import type { Numbers, Source } from "./source.ts";
import { isCreation, isMemberOf, isVisibilityEvent, wasJoinedBefore } from "./state-claim.ts";

type Ends = Pick<RoomRow, "firstOrderKey" | "lastOrderKey" | "lastChunk">;
type ChunkFacts = Pick<Landmark, "attestedFor" | "continues">;

const UNKNOWN_CHUNK: ChunkFacts = { attestedFor: undefined, continues: false };

/** The part of a room's draft that says where events stand. Writes into the draft's `writes`. */
export class TimelineDraft {
  readonly events: EventBook;
  ends: Ends;
  readonly #writes: RoomWrites;
  readonly #numbers: Numbers;
  readonly #roomId: RoomRow["roomId"];
  /** Chunks that events are put into, as they are now. */
  readonly #chunks = new Map<ChunkNid, ChunkFacts>();
  /** When the last event got its place; undefined: with this draft, or there is none. */
  #endStoredAt: StreamPosition | undefined;
  /** Of the last event; the last chunk may be one that has none yet. */
  #endChunk: ChunkNid | undefined;

  constructor({ row, end, known }: RoomBefore, writes: RoomWrites, numbers: Numbers) {
    const { firstOrderKey, lastOrderKey, lastChunk, roomId } = row;
    this.events = new EventBook(known);
    this.ends = { firstOrderKey, lastOrderKey, lastChunk };
    this.#writes = writes;
    this.#numbers = numbers;
    this.#roomId = roomId;
    this.#endStoredAt = end.storedAt;
    this.#endChunk = end.chunk;
    if (lastChunk !== undefined) this.#chunks.set(lastChunk, end);
  }

  /**
   * Finds places for the timeline of a section; an entry per event, undefined where it keeps its place, or where no
   * place is known: see {@link wholeFrom} and {@link isOvertaken}.
   */
  place(fold: SectionFold, before: BeforeTimeline): Placement["places"] {
    const { section, source } = fold;
    const whole = wholeFrom(section, source, before, (event) => this.events.isNew(event.eventId));
    const start = this.#placeableFrom(section, whole);
    const attestedFor = start < whole ? source.userNid : attestedBy(source);
    const events = section.timeline.slice(start).map(({ eventId }) => this.events.landmark(eventId));
    // Neither a first sync, nor what was asked for, nor a user who has just come in goes on from anywhere.
    const isCut =
      section.limited || source.poll === "first" || source.poll === "asked" || !before.wasJoined || whole > 0;
    const anchor = isCut ? undefined : this.#anchor(source);
    const goesOn = anchor !== undefined && (anchor.orderKey === this.ends.lastOrderKey || !this.#isEndTold(source));
    const landmarks = goesOn ? [anchor, ...events] : events;
    const followsEnd = anchor !== undefined && !goesOn;
    if (!followsEnd && this.#isOvertaken(fold, landmarks, attestedFor)) {
      // Who left is shown no more when asked again.
      fold.isOvertaken = section.kind === "join" || source.poll !== "asked";
      this.#markHole(fold);
      return section.timeline.map(() => undefined);
    }
    // What the stream had before may have got no place.
    const limited = isCut || (anchor === undefined && source.lastSeen.has(this.#roomId));
    this.#learnChunks(landmarks);
    const reachesEnd = section.kind === "join";
    const placement = placeBatch(landmarks, this.#tail(), { limited, reachesEnd, attestedFor });
    const unplaced = section.timeline.slice(0, start).map(() => undefined);
    const places = [...unplaced, ...placement.places.slice(landmarks.length - events.length)];
    this.#join(placement.joined, fold);
    if (placement.newChunkContinues !== undefined) {
      this.#startChunk(places, { attestedFor, continues: placement.newChunkContinues }, fold);
    }
    if (section.limited && events.length === 0) this.#markHole(fold);
    return places;
  }

  /**
   * Finds places for older events of a section, which end right before what its source names, or have the last of them known;
   * undefined: see {@link placeHistory}.
   */
  placeHistory(fold: SectionFold): Placement["places"] | undefined {
    const { section, source } = fold;
    const events = section.timeline.map(({ eventId }) => this.events.landmark(eventId));
    const anchor = this.#anchor(source);
    const landmarks = anchor === undefined ? events : [...events, anchor];
    this.#learnChunks(landmarks);
    const placement = placeHistory(landmarks, this.#tail(), attestedBy(source));
    if (placement !== undefined) this.#join(placement.joined, fold);
    return placement?.places.slice(0, events.length);
  }

  /**
   * Index of the first event that is given a place. Where something may be hidden before `whole`, only what follows all that is
   * known has one: it stands between that and the arrival, in a chunk of its reader's alone.
   */
  #placeableFrom({ timeline }: ParsedSection, whole: number): number {
    const known = timeline.slice(0, whole).map(({ eventId }) => this.events.landmark(eventId));
    const last = known.findLastIndex((landmark) => landmark !== undefined);
    // Where the arrival is known, or what follows it, others may have what stands between.
    const isAfterAll = timeline.slice(whole).every(({ eventId }) => this.events.landmark(eventId) === undefined);
    const isFree =
      isAfterAll && whole < timeline.length && (last < 0 || known[last]?.orderKey === this.ends.lastOrderKey);
    return isFree ? last + 1 : whole;
  }

  /**
   * Nothing tells whether the batch is newer than the end of the room: that was stored after the batch was asked for, or the
   * batch ends where its user left. At the end, an older one would stand for the newest.
   */
  #isOvertaken({ section, source }: SectionFold, landmarks: Landmarks, attestedFor: UserNid | undefined): boolean {
    const { lastOrderKey } = this.ends;
    if (lastOrderKey === undefined || landmarks.length === 0 || landmarks.at(-1) !== undefined) return false;
    // What it has before an arrival may tell, too.
    if (section.timeline.some(({ eventId }) => this.events.orderKeyOf(eventId) === lastOrderKey)) return false;
    const isStoredSince = this.#endStoredAt === undefined || this.#endStoredAt > source.storedBefore;
    const furthest = furthestOf(landmarks);
    if (furthest === undefined) return section.kind === "leave" || isStoredSince;
    return section.kind === "join" && isStoredSince && this.#isTrailUnsure(furthest, source, attestedFor);
  }

  /**
   * Nothing tells whether what follows the batch's known events is newer than the end of the room: it may be in a hole before that,
   * in the batch of one who ignores others; or a first sync has it elsewhere than streams do.
   */
  #isTrailUnsure({ chunk, next }: Landmark, { poll }: Source, attestedFor: UserNid | undefined): boolean {
    const end = this.#endChunk;
    const isWholeToEnd = chunk === end || (next?.chunk === end && next?.continues === true);
    return isWholeToEnd ? poll === "first" : attestedFor !== undefined;
  }

  /** What stands right before a batch that goes on, for those for whom the stream attests. */
  #anchor({ lastSeen }: Source): Landmark | undefined {
    const last = lastSeen.get(this.#roomId);
    return last && this.events.landmark(last);
  }

  /**
   * Streams go on by arrival, while first syncs order events that came late by the room's graph: what was stored before the
   * stream's last request stands before all that this one has anew, whichever event the stream had last.
   */
  #isEndTold({ toldUpTo }: Source): boolean {
    return this.#endStoredAt !== undefined && toldUpTo !== undefined && this.#endStoredAt <= toldUpTo;
  }

  #tail(): Tail | undefined {
    const { lastOrderKey: orderKey, lastChunk: chunk } = this.ends;
    if (orderKey === undefined || chunk === undefined) return undefined;
    return { orderKey, chunk, eventChunk: this.#endChunk ?? chunk, ...this.#factsOf(chunk) };
  }

  #factsOf(chunk: ChunkNid): ChunkFacts {
    const { attestedFor, continues } = this.#chunks.get(chunk) ?? UNKNOWN_CHUNK;
    return { attestedFor, continues };
  }

  #learnChunks(landmarks: Landmarks): void {
    for (const landmark of landmarks) {
      if (landmark !== undefined && !this.#chunks.has(landmark.chunk)) this.#chunks.set(landmark.chunk, landmark);
    }
  }

  #join(chunks: readonly ChunkNid[], fold: SectionFold): void {
    for (const chunk of chunks) {
      this.#writes.joined.push(chunk);
      this.#chunks.set(chunk, { ...this.#factsOf(chunk), continues: true });
      fold.hasHistory = true;
    }
  }

  #startChunk(places: Placement["places"], { attestedFor, continues }: ChunkFacts, fold: SectionFold): ChunkNid {
    const first = fold.section.timeline[places.findIndex((place) => place?.chunk === "new")];
    const chunk = this.#numbers.chunkNid();
    this.#writes.chunks.push({ chunk, attestedFor, continues, isStart: isCreation(first) });
    this.#chunks.set(chunk, { attestedFor, continues });
    fold.newChunk = chunk;
    return chunk;
  }

  /** A timeline without an event may tell of a hole, too: what comes next begins a chunk. */
  #markHole(fold: SectionFold): void {
    if (fold.section.kind !== "join" || this.ends.lastOrderKey === undefined) return;
    const facts = { attestedFor: attestedBy(fold.source), continues: false };
    this.ends = { ...this.ends, lastChunk: this.#startChunk([], facts, fold) };
    fold.hasHistory = true;
  }

  /** Stores an event that is not known, and gives it its place. */
  store(event: ParsedEvent, place: Place | undefined, visibility: Visibility, fold: SectionFold): EventNid {
    const known = this.events.nidOf(event.eventId);
    const nid = known ?? this.#numbers.eventNid();
    const chunk = place?.chunk === "new" ? fold.newChunk : place?.chunk;
    const { batch } = fold;
    if (known === undefined) {
      this.events.add(event.eventId, nid, undefined);
      this.#writes.events.push({ nid, event, orderKey: place?.orderKey, chunk, visibility, batch });
    }
    if (place === undefined || chunk === undefined) return nid;
    const { orderKey, previous, next } = place;
    if (known !== undefined) this.#writes.placed.push({ nid, orderKey, chunk, visibility, batch });
    this.events.add(event.eventId, nid, { orderKey, chunk, previous, next, ...this.#factsOf(chunk) });
    this.#moveEnds(place, chunk);
    if (place.isAtEnd) {
      this.#endStoredAt = undefined;
      this.#endChunk = chunk;
    }
    if (!place.isAtEnd) fold.hasHistory = true;
    else fold.appended = event;
    if (place.isAtEnd && isBumpType(event.type)) fold.bumped = event;
    if (!place.isAtEnd && isCreation(event)) this.#writes.started.push(chunk);
    return nid;
  }

  #moveEnds({ orderKey, isAtEnd }: Place, chunk: ChunkNid): void {
    const { firstOrderKey = orderKey, lastOrderKey, lastChunk } = this.ends;
    this.ends = {
      firstOrderKey: Math.min(firstOrderKey, orderKey),
      lastOrderKey: isAtEnd ? orderKey : lastOrderKey,
      lastChunk: isAtEnd ? chunk : lastChunk,
    };
  }

  /** Stores an event that is not known and stands in no timeline. */
  keep(event: ParsedEvent, visibility: Visibility, batch: number): void {
    const nid = this.#numbers.eventNid();
    this.events.add(event.eventId, nid, undefined);
    this.#writes.events.push({ nid, event, orderKey: undefined, chunk: undefined, visibility, batch });
  }

  /** Keeps the token that stands before the timeline's first event. */
  keepToken({ timeline, prevBatch }: SectionFold["section"]): void {
    const [first] = timeline;
    const orderKey = first && this.events.orderKeyOf(first.eventId);
    if (prevBatch !== undefined && orderKey !== undefined) this.#writes.tokens.push({ orderKey, token: prevBatch });
  }
}

/** How things stood before a section's timeline. */
interface BeforeTimeline {
  /** The stream's user was in the room. */
  readonly wasJoined: boolean;
  /** Of history, in force before the first event. */
  readonly visibility: Visibility;
}

/**
 * Index of the first event from which on the timeline lacks nothing that the room has. Before a user came in, the room's
 * visibility may keep things from them, so that what stands side by side there is not known to be neighbours.
 */
function wholeFrom(
  { kind, timeline }: ParsedSection,
  { userId }: Source,
  { wasJoined, visibility }: BeforeTimeline,
  isNew: (event: ParsedEvent) => boolean,
): number {
  const own = timeline.find((event) => isMemberOf(event, userId));
  // What is stored may be younger than the timeline: another device's stream, or an earlier response, has told of the arrival.
  const isKnownJoin = own !== undefined && !isNew(own) && membershipOf(own.content) === Membership.join;
  let isIn = isKnownJoin ? wasJoinedBefore(own) : wasJoined;
  // Who is out, and is not known to have been in, may have been out all along.
  let from = kind === "leave" && !wasJoined ? timeline.length : 0;
  for (const [index, event] of timeline.entries()) {
    if (!isMemberOf(event, userId)) continue;
    const membership = membershipOf(event.content);
    const isJoin = membership === Membership.join;
    if (isJoin && !isIn) from = index;
    else if (membership === Membership.invite || membership === Membership.knock) from = timeline.length;
    isIn = isJoin;
  }
  const changes = timeline.slice(0, from).filter(isVisibilityEvent);
  const inForce = [visibility, ...changes.map(({ content }) => visibilityOf(content.history_visibility))];
  // What is shared is so with those who are in the room, or come in.
  const hides = (each: Visibility) =>
    each !== Visibility.worldReadable && (each !== Visibility.shared || from === timeline.length);
  return inForce.some(hides) ? from : 0;
}

/** Somebody who ignores others attests for nobody but themselves. */
const attestedBy = ({ ignoresSomebody, userNid }: Source): UserNid | undefined =>
  ignoresSomebody ? userNid : undefined;
