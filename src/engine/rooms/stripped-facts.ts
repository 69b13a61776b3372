import type { UserId } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import { CREATE, ENCRYPTION, MEMBER } from "../event-types.ts";
import type { ReaderView } from "../view.ts";

/** What filters have to know of a room that the reader has only stripped state of. */
interface StrippedFacts {
  /** undefined: the stripped state does not say; an invite of another server may come with none but the own member event. */
  readonly isEncrypted: boolean | undefined;
  /** null: the room has no type. undefined: the stripped state does not say. */
  readonly roomType: string | null | undefined;
  /** Who sent the member event of each user in it. */
  readonly memberSenders: ReadonlyMap<unknown, unknown>;
}

/** Stripped state never changes once it is stored, and is looked at by every list of every answer. */
const known = new WeakMap<Buffer, StrippedFacts>();

/** Reads a raw JSON array of stripped events; undefined when there is none. What cannot be read says nothing. */
export function strippedFacts(strippedState: Buffer | undefined): StrippedFacts | undefined {
  if (strippedState === undefined) return undefined;
  let facts = known.get(strippedState);
  if (facts === undefined) {
    facts = factsOf(parsed(strippedState));
    known.set(strippedState, facts);
  }
  return facts;
}

function factsOf(events: readonly Record<string, unknown>[]): StrippedFacts {
  const create = events.find((event) => event.type === CREATE);
  return {
    isEncrypted: events.some((event) => event.type === ENCRYPTION) || (create === undefined ? undefined : false),
    roomType: create === undefined ? undefined : typeOf(create.content),
    memberSenders: new Map(
      events.filter(({ type }) => type === MEMBER).map(({ state_key: member, sender }) => [member, sender]),
    ),
  };
}

function typeOf(content: unknown): string | null {
  const type = isObject(content) ? content.type : undefined;
  return typeof type === "string" ? type : null;
}

function parsed(json: Buffer): readonly Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(json.toString("utf8"));
    return Array.isArray(value) ? value.filter(isObject) : [];
  } catch {
    return [];
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** An invite from somebody whom the reader ignores; homeservers do not show those. */
export function isIgnoredInvite({ rooms, own, userId }: ReaderView, index: number): boolean {
  if (own.ignored.size === 0 || rooms.membership(index) !== Membership.invite) return false;
  const inviter = strippedFacts(rooms.strippedState(index))?.memberSenders.get(userId);
  return own.ignored.has(inviter as UserId);
}
