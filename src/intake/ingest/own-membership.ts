import { isJsonObject, type JsonObject, parseJson, textAt } from "../../lib/json-value.ts";
import type { EventNid, UserId } from "../../model/ids.ts";
import { isDeparted, isStripped, Membership, membershipOf } from "../../model/membership.ts";
import {
  type MembershipChange,
  type MembershipRow,
  NO_PLACE_YET,
  NO_STAY,
  ORDER_KEY_STEP,
} from "../../model/room-facts.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { ClaimedMembership } from "./contest.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Source } from "./source.ts";
import { isDepartureOf, isMemberOf, wasJoinedBefore, wasOutBefore, wasStoredBefore } from "./state-claim.ts";

/** A change that has no batch yet. */
export type UnnumberedMembership = Omit<MembershipChange, "batch">;

/** Own membership as stored, a section of the user's own stream, and the draft that the section is folded into. */
interface OwnWord {
  readonly draft: RoomDraft;
  readonly section: ParsedSection;
  readonly source: Source;
  readonly before: MembershipRow | undefined;
}

/**
 * The polled user's own membership after a section: their own v2 stream is proof for join, invite and knock, and tells of
 * departures. Undefined: it says nothing new, or what it says is older than what is stored.
 */
export function ownMembership(word: OwnWord): UnnumberedMembership | undefined {
  const { kind } = word.section;
  if (kind === "join") return joined(word);
  return kind === "leave" ? departed(word) : invited(word, kind);
}

/** Against another membership that is stored, by the rules for claims about state: see `standingOf` in state-claim.ts. */
function isNewer(
  { section, source, before, draft }: OwnWord,
  claimed: Membership,
  own: readonly ParsedEvent[],
): boolean {
  if (claimed === Membership.join && before?.membership !== claimed && isBare(section)) return false;
  const last = own.at(-1);
  // Others may have told of what became of the user since.
  if (before === undefined) return claimed !== Membership.join || last === undefined || isNow(draft, last, source);
  if (before.membership === claimed || wasStoredBefore(before.since, source)) return true;
  if (draft.movedBy.get(source.userId) === source) return true;
  const stated = last && membershipOf(last.content);
  // Own events come with a join or a departure.
  const isProof = claimed === Membership.join ? stated === claimed : stated !== undefined && isDeparted(stated);
  if (last === undefined || !isProof) return false;
  const isStoredSeen =
    before.nid !== undefined && own.slice(0, -1).some(({ eventId }) => draft.events.nidOf(eventId) === before.nid);
  return (
    isStoredSeen ||
    isNow(draft, last, source) ||
    (isDepartureOf(last, source.userId) && draft.events.isNew(last.eventId))
  );
}

const isNow = (draft: RoomDraft, { eventId }: ParsedEvent, { userId }: Source): boolean =>
  draft.currentState("m.room.member", userId) === draft.events.nidOf(eventId);

/** Dendrite has account data of a room that the user is not in in the section of a joined one, without any event. */
const isBare = ({ timeline, state }: ParsedSection): boolean => timeline.length + state.length === 0;

const ownEvents = ({ section, source }: OwnWord): readonly ParsedEvent[] => {
  const { state, timeline, isStateAfter } = section;
  const all = isStateAfter ? [...timeline, ...state] : [...state, ...timeline];
  return all.filter((event) => isMemberOf(event, source.userId));
};

/** What the section says stands against a membership of which it cannot know; undefined: it does not. */
export function contestedMembership(word: OwnWord): ClaimedMembership | undefined {
  const { kind, stripped } = word.section;
  const own = kind === "join" || kind === "leave" ? ownEvents(word) : [];
  const claimed = kind === "leave" ? departureIn(own) : Membership[kind];
  return isNewer(word, claimed, own) ? undefined : { kind, stripped, own };
}

function joined(word: OwnWord): UnnumberedMembership | undefined {
  const { draft, source, before } = word;
  if (!isNewer(word, Membership.join, ownEvents(word))) return undefined;
  const { away, arrival } = comingAndGoing(word);
  const nid = draft.currentState("m.room.member", source.userId) ?? before?.nid;
  const hasReturned = before?.membership === Membership.join && away !== undefined && arrival !== undefined;
  const isTransition = before?.membership !== Membership.join || hasReturned;
  const sinceOrderKey = isTransition ? arrivedAt(word, arrival) : learntPlace(word);
  if (!isTransition && nid === before?.nid && sinceOrderKey === undefined) return undefined;
  return {
    userNid: source.userNid,
    membership: Membership.join,
    sender: source.userId,
    nid,
    isTransition,
    sinceOrderKey,
    stripped: undefined,
    sinceUs: undefined,
  };
}

/** The user's last absence in the timeline, after what is stored, and the join that ended it; or a first join. */
function comingAndGoing({ draft, section, source, before }: OwnWord) {
  const own = section.timeline.filter((event) => isMemberOf(event, source.userId));
  const stored = own.findIndex(({ eventId }) => draft.events.nidOf(eventId) === before?.nid);
  const wasJoined = before?.membership === Membership.join;
  const news = own.filter(({ eventId }, at) => (stored < 0 ? !wasJoined || draft.events.isNew(eventId) : at > stored));
  const lastAway = news.findLastIndex((event) => membershipOf(event.content) !== Membership.join);
  const away = news[lastAway];
  const arrival = news.slice(lastAway + 1).find((event) => away !== undefined || !wasJoinedBefore(event));
  return { away, arrival };
}

/** From where on the room is theirs to see who has come in; undefined: from the first event that was ever stored of it. */
function arrivedAt(word: OwnWord, arrival: ParsedEvent | undefined): number | undefined {
  const from = arrival === undefined ? seenFrom(word) : word.draft.events.orderKeyOf(arrival.eventId);
  return from === ORDER_KEY_STEP ? undefined : (from ?? NO_PLACE_YET);
}

/**
 * Joined before the section's first event, which the homeserver shows to this user: all from there on is theirs to see.
 * Of what others brought before, nothing is known.
 */
function seenFrom(word: OwnWord): number | undefined {
  const { draft, section, source } = word;
  const own = source.poll === "asked" && section.timeline.length === 0 ? ownEvents(word).slice(-1) : [];
  const places = [...section.timeline, ...own].map(({ eventId }) => draft.events.orderKeyOf(eventId));
  return places.find((place) => place !== undefined);
}

/**
 * An earlier place from which on the user is in, of whose arrival that was not known or only that it is before that. Only a
 * response that was asked for when they were in cannot tell of an earlier stay. undefined: nothing earlier.
 */
function learntPlace(word: OwnWord): number | undefined {
  const { draft, section, source, before } = word;
  if (before?.sinceOrderKey === undefined || !wasStoredBefore(before.since, source)) return undefined;
  const own = section.timeline.filter((event) => isMemberOf(event, source.userId));
  const away = own.findLastIndex((event) => membershipOf(event.content) !== Membership.join);
  const arrival = own[away + 1];
  const from = arrival === undefined ? seenFrom(word) : draft.events.orderKeyOf(arrival.eventId);
  return from !== undefined && from < before.sinceOrderKey ? from : undefined;
}

/** The event is a departure that is stored without its place. */
export const isPlaceOf = ({ membership, nid, sinceOrderKey }: MembershipRow, event: EventNid | undefined): boolean =>
  isDeparted(membership) && sinceOrderKey === undefined && nid !== undefined && nid === event;

/** How the user is out, by their own member events; a section may have none. */
function departureIn(own: readonly ParsedEvent[]): Membership {
  const last = own.at(-1);
  const stated = last && membershipOf(last.content);
  return stated !== undefined && isDeparted(stated) ? stated : Membership.leave;
}

/** Where the stay ended: with the first departure after the last arrival. Who was out already, and is banned, was out since then. */
function endsAt(word: OwnWord, own: readonly ParsedEvent[]): number | undefined {
  const { section, before } = word;
  const { events } = word.draft;
  const arrival = own.findLastIndex(({ content }) => membershipOf(content) === Membership.join);
  if (before !== undefined && isDeparted(before.membership) && arrival < 0) {
    const known = own.find(({ eventId }) => events.nidOf(eventId) === before.nid);
    return before.sinceOrderKey ?? (known && endOfStayAt(word.draft, known));
  }
  if (before !== undefined && isStripped(before.membership) && arrival < 0) return NO_STAY;
  const ends = own.slice(arrival + 1).filter(({ content }) => isDeparted(membershipOf(content) ?? Membership.join));
  const { timeline } = section;
  const at = timeline.findIndex((event) => ends.includes(event));
  const end = timeline[at];
  const isHidden = end !== undefined && (end.eventId !== ends[0]?.eventId || wasOutBefore(end));
  const last = isHidden ? timeline[at - 1] : (end ?? timeline.at(-1));
  if (last === undefined && isHidden) return seenBefore(word.draft, word.source);
  return last && events.orderKeyOf(last.eventId);
}

/** Where a departure ended the stay, which is not where it stands if it follows another one. undefined: elsewhere, or not known. */
export const endOfStayAt = ({ events }: RoomDraft, departure: ParsedEvent): number | undefined =>
  wasOutBefore(departure) ? undefined : events.orderKeyOf(departure.eventId);

/** Of a departure that stands in no timeline, or in a gap: it came after all that the stream had before. */
export function seenBefore({ row, events }: RoomDraft, { lastSeen }: Source): number | undefined {
  const last = lastSeen.get(row.roomId);
  return last && events.orderKeyOf(last);
}

function departed(word: OwnWord): UnnumberedMembership | undefined {
  const { draft, source, before } = word;
  const events = ownEvents(word);
  const own = events.at(-1);
  const membership = departureIn(events);
  if (!isNewer(word, membership, events)) return undefined;
  const nid = own && draft.events.nidOf(own.eventId);
  const isTransition = before?.membership !== membership;
  const isPlaced = before !== undefined && isPlaceOf(before, nid) && endsAt(word, events) !== undefined;
  if (!isTransition && !isPlaced && (nid === undefined || nid === before?.nid)) return undefined;
  return {
    userNid: source.userNid,
    membership,
    sender: own?.sender ?? source.userId,
    nid,
    isTransition,
    sinceOrderKey: isTransition || isPlaced ? endsAt(word, events) : undefined,
    // Of a room that was never joined it is all that is known.
    stripped: before?.stripped,
    // A departure that a client may have to be told of comes first, however old it is.
    sinceUs: source.poll === "first" && before === undefined ? happenedUs(own?.originServerTsMs, source) : undefined,
  };
}

function invited(word: OwnWord, kind: "invite" | "knock"): UnnumberedMembership | undefined {
  const { section, source, before } = word;
  const membership = Membership[kind];
  if (!isNewer(word, membership, [])) return undefined;
  const stripped = rawArray(section.stripped);
  const isTransition = before?.membership !== membership;
  if (!isTransition && before?.stripped?.equals(stripped) === true) return undefined;
  const own = section.stripped.map(parseJson).findLast((event) => isOwnStripped(event, source.userId)) ?? {};
  const { origin_server_ts: ts } = own;
  return {
    userNid: source.userNid,
    membership,
    sender: textAt(own, "sender") ?? source.userId,
    nid: undefined,
    isTransition,
    sinceOrderKey: undefined,
    stripped,
    sinceUs: source.poll === "live" ? undefined : happenedUs(ts, source),
  };
}

const happenedUs = (ts: unknown, { nowUs }: Source): number | undefined =>
  typeof ts === "number" && ts > 0 ? Math.floor(Math.min(ts * 1000, nowUs)) : undefined;

const isOwnStripped = (event: unknown, userId: UserId): event is JsonObject =>
  isJsonObject(event) && event.type === "m.room.member" && event.state_key === userId;

/** Joins raw JSON values to a raw array, leaving out what is no object. */
function rawArray(raws: readonly Buffer[]): Buffer {
  const objects = raws.filter((raw) => isJsonObject(parseJson(raw)));
  const pieces = objects.flatMap((raw, index) => (index === 0 ? [raw] : [Buffer.from(","), raw]));
  return Buffer.concat([Buffer.from("["), ...pieces, Buffer.from("]")]);
}
