import type { UserId } from "../../model/ids.ts";
import { isDeparted, Membership, membershipOf } from "../../model/membership.ts";
import type { MembershipChange, MembershipRow, PersonalChange } from "../../model/room-facts.ts";
import { isObject, parseJson, stringAt } from "../response/json-value.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { RoomDraft, Source } from "./room-draft.ts";

/** A change that has no batch yet. */
export type UnnumberedMembership = Omit<MembershipChange, "batch">;

const isMemberOf = (event: ParsedEvent, userId: UserId): boolean =>
  event.type === "m.room.member" && event.stateKey === userId;

/**
 * The polled user's own membership after a section: their own v2 stream is proof for join, invite and knock, and tells of
 * departures. Undefined: it says nothing new.
 */
export function ownMembership(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  before: MembershipRow | undefined,
): UnnumberedMembership | undefined {
  switch (section.kind) {
    case "join":
      return joined(draft, section, source, before);
    case "leave":
      return departed(draft, section, source, before);
    case "invite":
    case "knock":
      return stripped(section, source, before);
  }
}

function joined(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  before: MembershipRow | undefined,
): UnnumberedMembership | undefined {
  const own = section.timeline.filter((event) => isMemberOf(event, source.userId));
  const lastAway = own.findLastIndex((event) => membershipOf(event.content) !== Membership.join);
  const nid = draft.currentState("m.room.member", source.userId) ?? before?.nid;
  const isTransition = before?.membership !== Membership.join || (lastAway >= 0 && draft.isNew(own[lastAway]?.eventId));
  if (!isTransition && nid === before?.nid) return undefined;
  const arrival = own[lastAway + 1];
  const hadEvents = draft.before.row.firstOrderKey !== undefined;
  // Joined before the section's first event, which the homeserver shows to this user: all from there on is theirs to see.
  const first = arrival ?? (hadEvents ? section.timeline[0] : undefined);
  return {
    userNid: source.userNid,
    membership: Membership.join,
    sender: source.userId,
    nid,
    isTransition,
    sinceOrderKey: first && draft.orderKeyOf(first.eventId),
    stripped: undefined,
    strippedUs: undefined,
  };
}

function departed(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  before: MembershipRow | undefined,
): UnnumberedMembership | undefined {
  const own = [...section.state, ...section.timeline].findLast((event) => isMemberOf(event, source.userId));
  const stated = own && membershipOf(own.content);
  const membership = stated !== undefined && isDeparted(stated) ? stated : Membership.leave;
  const nid = own && draft.nidOf(own.eventId);
  if (before?.membership === membership && (nid === undefined || nid === before.nid)) return undefined;
  const last = section.timeline.at(-1);
  return {
    userNid: source.userNid,
    membership,
    sender: own?.sender ?? source.userId,
    nid,
    isTransition: true,
    sinceOrderKey: (own && draft.orderKeyOf(own.eventId)) ?? (last && draft.orderKeyOf(last.eventId)),
    stripped: undefined,
    strippedUs: undefined,
  };
}

function stripped(section: ParsedSection, source: Source, before: MembershipRow | undefined): UnnumberedMembership {
  const own = section.stripped
    .map(parseJson)
    .findLast((event) => isObject(event) && event.type === "m.room.member" && event.state_key === source.userId);
  const membership = section.kind === "invite" ? Membership.invite : Membership.knock;
  const ts = isObject(own) ? own.origin_server_ts : undefined;
  return {
    userNid: source.userNid,
    membership,
    sender: (isObject(own) ? stringAt(own, "sender") : undefined) ?? source.userId,
    nid: undefined,
    isTransition: before?.membership !== membership,
    sinceOrderKey: undefined,
    stripped: rawArray(section.stripped),
    strippedUs: typeof ts === "number" && Number.isSafeInteger(ts) && ts > 0 ? ts * 1000 : undefined,
  };
}

/** Joins raw JSON values to a raw array, leaving out what is no object. */
function rawArray(raws: readonly Buffer[]): Buffer {
  const objects = raws.filter((raw) => isObject(parseJson(raw)));
  const pieces = objects.flatMap((raw, index) => (index === 0 ? [raw] : [Buffer.from(","), raw]));
  return Buffer.concat([Buffer.from("["), ...pieces, Buffer.from("]")]);
}

/**
 * Departures of other users whose devices use Slidecar act at once, whoever's stream brought them; their joins and invites
 * wait for their own stream.
 */
export function departuresOfOthers(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
): readonly UnnumberedMembership[] {
  const changes: UnnumberedMembership[] = [];
  for (const event of [...section.state, ...section.timeline]) {
    if (event.type !== "m.room.member" || event.stateKey === undefined || event.stateKey === source.userId) continue;
    const before = draft.memberships.get(event.stateKey as UserId);
    const membership = membershipOf(event.content);
    const nid = draft.nidOf(event.eventId);
    if (before === undefined || membership === undefined || nid === undefined) continue;
    const isCurrent = draft.currentState("m.room.member", event.stateKey) === nid;
    if (!isDeparted(membership) || isDeparted(before.membership) || !isCurrent || !draft.isNew(event.eventId)) continue;
    changes.push({
      userNid: before.userNid,
      membership,
      sender: event.sender,
      nid,
      isTransition: true,
      sinceOrderKey: draft.orderKeyOf(event.eventId) ?? draft.row.lastOrderKey,
      stripped: undefined,
      strippedUs: undefined,
    });
  }
  return changes;
}

/** Heroes and unread counts, when they differ from what is stored. */
export function personalChange(
  section: ParsedSection,
  source: Source,
  before: MembershipRow | undefined,
): Omit<PersonalChange, "batch"> | undefined {
  const heroes = section.summary?.heroes;
  const { counts } = section;
  const hasHeroes = heroes !== undefined && heroes.join("\0") !== before?.heroes.join("\0");
  const hasCounts =
    counts !== undefined &&
    (counts.notifications !== (before?.notifications ?? 0) || counts.highlights !== (before?.highlights ?? 0));
  if (!hasHeroes && !hasCounts) return undefined;
  return {
    userNid: source.userNid,
    heroes: hasHeroes ? heroes : undefined,
    counts: hasCounts ? counts : undefined,
  };
}
