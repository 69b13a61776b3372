import { invariant } from "../../lib/invariant.ts";
import { isBumpType } from "../../model/events-that-bump.ts";
import type { ChunkNid, EventNid, UserNid } from "../../model/ids.ts";
import type { Landmark, RoomBefore, RoomWrites } from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { Visibility } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { EventBook } from "./event-book.ts";
import { type ChunkToStart, furthestOf, type Landmarks, type Place, placeBatch } from "./place.ts";
import { placeHistory } from "./place-history.ts";
import { RoomChunks } from "./room-chunks.ts";
import type { SectionFold } from "./section-fold.ts";
import type { Numbers, Source } from "./source.ts";
import { isCreation } from "./state-claim.ts";
import { type BeforeTimeline, wholeFrom } from "./whole-from.ts";
import { widen } from "./widen.ts";

/** An entry per event of a timeline; undefined: it keeps its place, or has none. */
type Places = readonly (Place<ChunkNid> | undefined)[];

/** The part of a room's draft that says where events stand. Writes into the draft's `writes`. */
export class TimelineDraft {
  readonly events: EventBook;
  readonly #writes: RoomWrites;
  readonly #numbers: Numbers;
  readonly #roomId: RoomRow["roomId"];
  readonly #chunks: RoomChunks;
  /** When the last event got its place; undefined: with this draft, or there is none. */
  #endStoredAt: StreamPosition | undefined;
  /** Of the last event, if that is a message. */
  #endSender: string | undefined;

  constructor({ row, end, known }: RoomBefore, writes: RoomWrites, numbers: Numbers) {
    this.events = new EventBook(known);
    this.#chunks = new RoomChunks({ row, end }, writes, numbers);
    this.#writes = writes;
    this.#numbers = numbers;
    this.#roomId = row.roomId;
    this.#endStoredAt = end.storedAt;
    this.#endSender = end.sender;
  }

  get ends(): RoomChunks["ends"] {
    return this.#chunks.ends;
  }

  /**
   * Finds places for the timeline of a section; an entry per event, undefined where it keeps its place, or where no
   * place is known: see {@link wholeFrom} and {@link isOvertaken}.
   */
  place(fold: SectionFold, before: BeforeTimeline): Places {
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
      this.#chunks.markHole(attestedBy(source), fold);
      return section.timeline.map(() => undefined);
    }
    if (isCut && this.#isEndHidden(source, landmarks)) {
      this.#chunks.markHole(attestedFor, fold);
      return section.timeline.map(() => undefined);
    }
    // What the stream had before may have got no place.
    const limited = isCut || (anchor === undefined && source.lastSeen.has(this.#roomId));
    const widened = attestedFor === undefined ? this.#widen(landmarks, start, fold) : landmarks;
    this.#chunks.learn(widened);
    const reachesEnd = section.kind === "join";
    const placement = placeBatch(widened, this.#chunks.tail(), { limited, reachesEnd, attestedFor });
    const unplaced = section.timeline.slice(0, start).map(() => undefined);
    const places = [...unplaced, ...placement.places.slice(landmarks.length - events.length)];
    this.#chunks.join(placement.joined, fold);
    const started = new Map(
      placement.started.map((each) => {
        const first = section.timeline[places.findIndex((place) => place?.chunk === each)];
        return [each, this.#chunks.start({ attestedFor, ...each, isStart: isCreation(first) }, fold)];
      }),
    );
    if (section.limited && events.length === 0) this.#chunks.markHole(attestedBy(source), fold);
    return places.map((place) => place && inChunk(place, started));
  }

  /** Lets known events be attested for everybody, as {@link widen} says. `start`: of the last landmarks in the timeline. */
  #widen(landmarks: Landmarks, start: number, fold: SectionFold): Landmarks {
    const widening = widen(landmarks, () => this.#numbers.chunkNid());
    if (widening === undefined) return landmarks;
    const { section, source } = fold;
    const timeline = section.timeline.slice(start);
    // The anchor stands before them.
    const anchors = timeline.length < landmarks.length ? [source.lastSeen.get(this.#roomId)] : [];
    const eventIds = [...anchors, ...timeline.map(({ eventId }) => eventId)];
    this.#chunks.take(widening, isCreation(timeline[0]) && widening.moved.has(anchors.length), fold);
    if (widening.split !== undefined) this.events.split(widening.split);
    for (const [index, chunk] of widening.moved) {
      const eventId = eventIds[index];
      const nid = eventId === undefined ? undefined : this.events.nidOf(eventId);
      invariant(eventId !== undefined && nid !== undefined, "an event with a place is known");
      this.#writes.moved.push({ nid, chunk });
      this.events.add(eventId, nid, widening.landmarks[index]);
    }
    return widening.landmarks;
  }

  /**
   * Finds places for older events of a section, which end right before what its source names, or have the last of them known;
   * undefined: see {@link placeHistory}.
   */
  placeHistory(fold: SectionFold): Places | undefined {
    const { section, source } = fold;
    const events = section.timeline.map(({ eventId }) => this.events.landmark(eventId));
    const anchor = this.#anchor(source);
    const landmarks = anchor === undefined ? events : [...events, anchor];
    this.#chunks.learn(landmarks);
    const placement = placeHistory(landmarks, this.#chunks.tail(), attestedBy(source));
    if (placement !== undefined) this.#chunks.join(placement.joined, fold);
    return placement?.places.slice(0, events.length).map((place) => place && inChunk(place, new Map()));
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
    const end = this.#chunks.ofLastEvent;
    const isWholeToEnd = chunk === end || (next?.chunk === end && next?.continues === true);
    return isWholeToEnd ? poll === "first" : attestedFor !== undefined;
  }

  /**
   * The room ends with what the homeserver keeps from the stream's user, who ignores its sender, and nothing of the batch is known:
   * it may be older than all that is known of the room, and the end is not the place of that.
   */
  #isEndHidden({ ignored, userId }: Source, landmarks: Landmarks): boolean {
    const sender = this.#endSender;
    // Nobody is kept from seeing themselves.
    const isHidden = sender !== undefined && sender !== userId && ignored?.has(sender) === true;
    return isHidden && landmarks.every((landmark) => landmark === undefined);
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

  /** Stores an event that is not known, and gives it its place. */
  store(event: ParsedEvent, place: Place<ChunkNid> | undefined, visibility: Visibility, fold: SectionFold): EventNid {
    const known = this.events.nidOf(event.eventId);
    const nid = known ?? this.#numbers.eventNid();
    const chunk = place?.chunk;
    const { batch } = fold;
    if (known === undefined) {
      this.events.add(event.eventId, nid, undefined);
      this.#writes.events.push({ nid, event, orderKey: place?.orderKey, chunk, visibility, batch });
    }
    if (place === undefined || chunk === undefined) return nid;
    const { orderKey, previous, next } = place;
    if (known !== undefined) this.#writes.placed.push({ nid, orderKey, chunk, visibility, batch });
    this.events.add(event.eventId, nid, { orderKey, chunk, previous, next, ...this.#chunks.factsOf(chunk) });
    this.#chunks.note(place);
    if (place.isAtEnd) {
      this.#endStoredAt = undefined;
      this.#endSender = event.stateKey === undefined ? event.sender : undefined;
    }
    if (!place.isAtEnd) fold.hasHistory = true;
    else fold.appended = event;
    if (place.isAtEnd && isBumpType(event.type)) fold.bumped = event;
    if (!place.isAtEnd && isCreation(event)) this.#writes.started.push(chunk);
    return nid;
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

function inChunk(place: Place, started: ReadonlyMap<ChunkToStart, ChunkNid>): Place<ChunkNid> {
  const chunk = typeof place.chunk === "number" ? place.chunk : started.get(place.chunk);
  invariant(chunk !== undefined, "a chunk that a batch starts has a number");
  return { ...place, chunk };
}

/** Somebody who ignores others attests for nobody but themselves. */
const attestedBy = ({ ignoresSomebody, userNid }: Source): UserNid | undefined =>
  ignoresSomebody ? userNid : undefined;
