import { withMember, withoutMembers } from "../../lib/json-members.ts";
import type { EventId, EventNid } from "../../model/ids.ts";
import type { EventText, KnownRedaction, StoredText } from "../../model/redaction.ts";
import type { RoomBefore, RoomWrites } from "../../model/room-facts.ts";
import { lastMember, type ParsedEvent, REDACTED_BECAUSE, withRedaction } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { EventBook } from "./event-book.ts";
import { redactedBody, redactedContent } from "./redacted-body.ts";
import { REDACTION, redactionTarget } from "./redaction-target.ts";

const CREATE = "m.room.create";
const PREVIOUS_CONTENT = "prev_content";
const NO_MEMBERS = Buffer.from("{}");

/** An event that took another form. */
export interface Rewritten extends EventText {
  readonly nid: EventNid;
  /** It was current state when it was read; of what was not read, the draft knows. */
  readonly isCurrent: boolean;
  /** Readers may know it as it was before. */
  readonly isStored: boolean;
  /** It was redacted; else only what it repeats of another event. */
  readonly isRedacted: boolean;
}

/**
 * The part of a room's draft that redacts. What is redacted stays so: an event is stored in redacted form whenever it comes,
 * and with it what others repeat of it (`redacted_because`, `prev_content`). The first redaction of an event counts.
 */
export class RedactionDraft {
  readonly #writes: RoomWrites;
  readonly #events: Pick<EventBook, "nidOf">;
  /** By redacted event. */
  readonly #redacted: Map<EventId, KnownRedaction>;
  /** Stored events, as they are now. */
  readonly #stored: Map<EventId, StoredText>;
  /** Where new events are in the writes, as far as {@link #index} has read. */
  readonly #drafted = new Map<EventId, number>();
  #indexed = 0;
  /** New events that are in redacted form. */
  readonly #settled = new Set<EventId>();
  /** Events that repeat something of an event, by that event. */
  readonly #repeating = new Map<EventId, Set<EventId>>();
  #rewritten = new Map<EventId, Rewritten>();

  constructor({ redacted, texts }: RoomBefore, writes: RoomWrites, events: Pick<EventBook, "nidOf">) {
    this.#writes = writes;
    this.#events = events;
    this.#redacted = new Map(redacted);
    this.#stored = new Map(texts);
    for (const [eventId, { previous, redaction }] of texts) {
      this.#note(previous, eventId);
      if (redaction !== undefined && !redacted.has(eventId))
        this.#redacted.set(eventId, { redaction, body: undefined });
    }
    for (const [eventId, { redaction }] of this.#redacted) this.#note(redaction, eventId);
  }

  /** Redacts what the events of a section redact, and those of them that are redacted, all drafted before. */
  settle(events: Pick<ParsedSection, "state" | "timeline">, version: string | undefined): readonly Rewritten[] {
    this.#rewritten = new Map();
    for (const event of events.state) this.#meet(event, version);
    for (const event of events.timeline) this.#meet(event, version);
    for (const event of events.timeline) {
      const target = redactionTarget(event, version);
      if (target === undefined || this.#redacted.has(target)) continue;
      this.#note(event.eventId, target);
      this.#mark(target, event.eventId);
      this.#redact(target, version);
    }
    return [...this.#rewritten.values()];
  }

  /** The body that counts, of an event as it came: a slow stream may bring what was redacted as it was before. */
  bodyOf({ eventId, type, body }: ParsedEvent, version: string | undefined): Buffer {
    return this.#redacted.has(eventId) && type !== CREATE ? redactedBody(body, type, version) : body;
  }

  #meet(event: ParsedEvent, version: string | undefined): void {
    const { eventId, previous, redactedBy } = event;
    if (redactedBy !== undefined) this.#take(event, redactedBy, version);
    else if (this.#redacted.has(eventId) && this.#isNewAndWhole(eventId)) this.#redact(eventId, version);
    for (const original of [previous, redactedBy]) {
      if (original && this.#redacted.has(original)) this.#repeat(eventId, original, version);
    }
  }

  /** A copy in redacted form. */
  #take(event: ParsedEvent, redaction: EventId | "", version: string | undefined): void {
    const { eventId } = event;
    if (event.type === CREATE) return;
    const isKnown = this.#redacted.has(eventId);
    if (!isKnown) this.#mark(eventId, redaction);
    // What is stored is in redacted form already, once it is known to be redacted.
    if (isKnown && !this.#isNewAndWhole(eventId)) return;
    this.#note(redaction, eventId);
    this.#rewrite(eventId, event, true);
    this.#follow(eventId, version);
  }

  #redact(eventId: EventId, version: string | undefined): void {
    const text = this.#textOf(eventId);
    if (text?.type === CREATE) return;
    if (text !== undefined) {
      const redaction = this.#redactionOf(eventId);
      const unsigned = redaction === undefined ? text.unsigned : withRedaction(text.unsigned ?? NO_MEMBERS, redaction);
      this.#rewrite(eventId, { ...text, body: redactedBody(text.body, text.type, version), unsigned }, true);
    }
    this.#follow(eventId, version);
  }

  /** Events that repeat something of a redacted one repeat its redacted form. */
  #follow(original: EventId, version: string | undefined): void {
    this.#index();
    for (const eventId of this.#repeating.get(original) ?? []) this.#repeat(eventId, original, version);
  }

  #repeat(eventId: EventId, original: EventId, version: string | undefined): void {
    const text = this.#textOf(eventId);
    if (text?.unsigned === undefined) return;
    let { unsigned } = text;
    const redaction = lastMember(unsigned, REDACTED_BECAUSE);
    if (redaction !== undefined && this.#redacted.get(eventId)?.redaction === original) {
      // It may be known from its copies alone.
      unsigned = withRedaction(unsigned, this.#redactionOf(eventId) ?? redactedBody(redaction, REDACTION, version));
    }
    if (text.previous === original) unsigned = withRedactedPrevious(unsigned, text.type, version);
    if (!unsigned.equals(text.unsigned)) this.#rewrite(eventId, { ...text, unsigned }, false);
  }

  /** The body of what redacted an event. */
  #redactionOf(eventId: EventId): Buffer | undefined {
    const { redaction = "", body } = this.#redacted.get(eventId) ?? {};
    return (redaction === "" ? undefined : this.#textOf(redaction)?.body) ?? body;
  }

  #mark(eventId: EventId, redaction: EventId | ""): void {
    this.#redacted.set(eventId, { redaction, body: undefined });
    this.#writes.redactions.push({ eventId, redaction });
  }

  #note(original: EventId | "" | undefined, repeating: EventId): void {
    if (original === undefined || original === "") return;
    const known = this.#repeating.get(original);
    if (known === undefined) this.#repeating.set(original, new Set([repeating]));
    else known.add(repeating);
  }

  #isNewAndWhole(eventId: EventId): boolean {
    this.#index();
    return this.#drafted.has(eventId) && !this.#settled.has(eventId);
  }

  /** Reads what was drafted since. Not before something is redacted: a first sync drafts a hundred thousand events. */
  #index(): void {
    for (; this.#indexed < this.#writes.events.length; this.#indexed += 1) {
      const event = this.#writes.events[this.#indexed]?.event;
      if (event === undefined) continue;
      this.#drafted.set(event.eventId, this.#indexed);
      this.#note(event.previous, event.eventId);
    }
  }

  #textOf(eventId: EventId): EventText | undefined {
    this.#index();
    const index = this.#drafted.get(eventId);
    return index === undefined ? this.#stored.get(eventId) : this.#writes.events[index]?.event;
  }

  #rewrite(eventId: EventId, text: EventText, isRedacted: boolean): void {
    this.#index();
    const { body, unsigned } = text;
    const index = this.#drafted.get(eventId);
    const item = index === undefined ? undefined : this.#writes.events[index];
    const nid = item?.nid ?? this.#stored.get(eventId)?.nid ?? this.#events.nidOf(eventId);
    if (nid === undefined) return;
    const isCurrent = this.#stored.get(eventId)?.isCurrent ?? false;
    if (item !== undefined && index !== undefined) {
      this.#writes.events[index] = { ...item, event: { ...item.event, body, unsigned } };
      if (isRedacted) this.#settled.add(eventId);
    } else {
      this.#stored.set(eventId, { ...text, nid, isCurrent, redaction: undefined });
      this.#writes.rewritten.set(nid, { body, unsigned });
    }
    const wasRedacted = this.#rewritten.get(eventId)?.isRedacted ?? false;
    const facts = { nid, isCurrent, isStored: item === undefined, isRedacted: isRedacted || wasRedacted };
    this.#rewritten.set(eventId, { ...text, ...facts });
  }
}

/** `prev_content` in redacted form. */
function withRedactedPrevious(unsigned: Buffer, type: string, version: string | undefined): Buffer {
  const content = lastMember(unsigned, PREVIOUS_CONTENT);
  if (content === undefined) return unsigned;
  const rest = withoutMembers(unsigned, (key) => key === PREVIOUS_CONTENT);
  return withMember(rest, PREVIOUS_CONTENT, redactedContent(content, type, version));
}
