import { type Membership, membershipOf, type StoredEvent } from "./event.ts";
import type { Room } from "./room.ts";
import { type Shown, shownAs } from "./shown.ts";
import type { User } from "./user.ts";

/** From the most to the least open. */
const VISIBILITIES = ["world_readable", "shared", "invited", "joined"] as const;
type Visibility = (typeof VISIBILITIES)[number];

/** From the most to the least inside. */
const MEMBERSHIPS: readonly Membership[] = ["join", "invite", "knock", "leave", "ban"];

export interface Reader {
  readonly user: User;
  /** The reader is not, and since the events was not, in the room. */
  readonly isPeeking?: boolean;
  /** Events shown whatever the visibility: current state in a sync timeline. Ignored senders stay hidden. */
  readonly always?: (event: StoredEvent) => boolean;
}

export function shownTo(room: Room, events: readonly StoredEvent[], reader: Reader): Shown[] {
  return events.flatMap((event) => show(room, event, reader) ?? []);
}

function show(room: Room, event: StoredEvent, reader: Reader): Shown | undefined {
  const userId = reader.user.userId;
  const isOwnMembership = event.type === "m.room.member" && event.stateKey === userId;
  if (event.oddity?.withheld === true || isNeverSent(event, reader.user)) return undefined;
  if (event.oddity?.outlier === true) {
    return isOwnMembership ? shownAs(event, membershipOf(event)) : undefined;
  }
  const own = isOwnMembership ? event : room.stateAtEvent(event, "m.room.member", userId);
  const isAllowed = reader.always?.(event) === true || isVisible(room, event, reader, own);
  if (!isAllowed || isRingInPublic(room, event)) return undefined;
  return shownAs(event, membershipOf(own));
}

function isNeverSent(event: StoredEvent, user: User): boolean {
  if (event.type === "org.matrix.dummy_event" || event.type === "m.room.aliases") return true;
  return event.stateKey === undefined && user.ignored.has(event.sender);
}

function isVisible(room: Room, event: StoredEvent, reader: Reader, own: StoredEvent | undefined): boolean {
  const isPeeking = reader.isPeeking === true;
  const visibility = visibilityOf(room.stateAtEvent(event, "m.room.history_visibility"));
  const widest =
    event.type === "m.room.history_visibility" ? moreOpen(visibility, visibilityOf(event.replaces)) : visibility;
  if (widest === "world_readable" || (widest === "shared" && !isPeeking)) return true;
  const membership = own === event ? mostInside(event) : own === undefined ? undefined : membershipOf(own);
  if (own === event && isFarewell(event)) return true;
  if (membership === "join") return true;
  switch (visibility) {
    case "joined":
      return false;
    case "invited":
      return membership === "invite";
    case "shared":
      return !isPeeking;
    case "world_readable":
      return true;
  }
}

/** A user always sees how they left, else a room would stay in their list for ever. */
function isFarewell(event: StoredEvent): boolean {
  const before = event.replaces === undefined ? "leave" : membershipOf(event.replaces);
  return event.content.membership === "leave" && (before === "join" || before === "invite");
}

function mostInside(event: StoredEvent): Membership {
  const after = membershipOf(event);
  const before = event.replaces === undefined ? "leave" : membershipOf(event.replaces);
  return MEMBERSHIPS.indexOf(before) < MEMBERSHIPS.indexOf(after) ? before : after;
}

function moreOpen(a: Visibility, b: Visibility): Visibility {
  return VISIBILITIES.indexOf(a) <= VISIBILITIES.indexOf(b) ? a : b;
}

function visibilityOf(event: StoredEvent | undefined): Visibility {
  const value = event?.content.history_visibility;
  return VISIBILITIES.find((visibility) => visibility === value) ?? "shared";
}

/** A call invite in a public room would ring everybody in it. */
function isRingInPublic(room: Room, event: StoredEvent): boolean {
  if (event.type !== "m.call.invite" || event.stateKey !== undefined) return false;
  return room.stateAtEvent(event, "m.room.join_rules")?.content.join_rule === "public";
}
