import type { StoredEvent } from "./event.ts";
import { relationTypeOf } from "./relation.ts";
import { type Bundle, type Shown, shownAs } from "./shown.ts";
import type { User } from "./user.ts";
import type { World } from "./world.ts";

/** Adds what relates to each event, as one reader may know it: ignored users are left out, participation is personal. */
export function withBundles(world: World, events: readonly Shown[], reader: User): Shown[] {
  return events.map((shown) => {
    const bundle = bundleFor(world, shown.event, reader);
    return bundle === undefined ? shown : { ...shown, bundle };
  });
}

function bundleFor(world: World, event: StoredEvent, reader: User): Bundle | undefined {
  if (event.stateKey !== undefined || event.redactedBecause !== undefined) return undefined;
  const related = relationsFor(world, event, reader);
  if (related.length === 0) return undefined;
  const ofType = (type: string) => related.filter((other) => relationTypeOf(other) === type);
  const edit = ofType("m.replace")
    .filter((other) => isEditOf(other, event))
    .reduce<StoredEvent | undefined>(later, undefined);
  const replies = ofType("m.thread");
  const latest = replies.at(-1);
  const hasReaderIn = [event, ...replies].some(({ sender }) => sender === reader.userId);
  return {
    references: ofType("m.reference").map(({ eventId }) => eventId),
    edit: edit === undefined ? undefined : shownAs(edit),
    thread: latest === undefined ? undefined : { latest: shownAs(latest), count: replies.length, hasReaderIn },
  };
}

/** Events related to an event, oldest first, without redacted ones and those of users whom the reader ignores. */
export function relationsFor(world: World, event: StoredEvent, reader: User): StoredEvent[] {
  const related = world.relations.get(event.eventId) ?? [];
  return related.filter((other) => {
    const isOfRoom = other.roomId === event.roomId && other.oddity?.withheld !== true;
    return isOfRoom && other.redactedBecause === undefined && !reader.ignored.has(other.sender);
  });
}

function isEditOf(edit: StoredEvent, event: StoredEvent): boolean {
  return edit.sender === event.sender && edit.type === event.type && edit.stateKey === undefined;
}

function later(a: StoredEvent | undefined, b: StoredEvent): StoredEvent {
  return a === undefined || b.originServerTs >= a.originServerTs ? b : a;
}
