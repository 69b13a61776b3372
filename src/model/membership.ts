import { isJsonObject, parseJson } from "../lib/json-value.ts";

/** Own membership of a user in a room. Numbers are stored: append only. */
export const Membership = { join: 1, invite: 2, knock: 3, leave: 4, ban: 5 } as const;
export type Membership = (typeof Membership)[keyof typeof Membership];

const byName: Readonly<Record<string, Membership>> = Membership;

/** The membership of an `m.room.member` content, or undefined for a value that the specification does not know. */
export function membershipOf(content: unknown): Membership | undefined {
  if (typeof content !== "object" || content === null || !("membership" in content)) return undefined;
  const { membership } = content;
  return typeof membership === "string" && Object.hasOwn(byName, membership) ? byName[membership] : undefined;
}

/** What the membership was before a member event, as its `unsigned` says; undefined: it does not. */
export function previousMembership(unsigned: Buffer | undefined): Membership | undefined {
  const shared = unsigned && parseJson(unsigned);
  return isJsonObject(shared) ? membershipOf(shared.prev_content) : undefined;
}

/** Whether the user is out of the room: what they may see ends with their departure. */
export const isDeparted = (membership: Membership): boolean =>
  membership === Membership.leave || membership === Membership.ban;

/** Whether the user has only stripped state of the room. */
export const isStripped = (membership: Membership): boolean =>
  membership === Membership.invite || membership === Membership.knock;
