import type { UserId } from "../../model/ids.ts";
import type { RoomData } from "../../model/room-reads.ts";
import type { StateEvent } from "../../model/stored-event.ts";
import { MEMBER, NAME } from "../event-types.ts";
import type { Hero } from "../response.ts";
import type { RoomPlan } from "./room-plan.ts";

/**
 * The heroes to be told: those of a joined room without a name, on the first answer and when members changed. A gap
 * hides which members changed, so it counts as a change.
 */
export function neededHeroes(plan: RoomPlan, data: RoomData, hasGap: boolean): readonly UserId[] {
  if (plan.as !== "joined" || plan.memory.name !== undefined) return [];
  const isNews = plan.isInitial || hasGap || data.changed.some(({ type }) => type === MEMBER || type === NAME);
  return isNews ? plan.memory.heroes : [];
}

/** A hero whose member event is not known is named by the user id alone. */
export function heroOf(userId: UserId, member: StateEvent | undefined): Hero {
  const content = member === undefined ? undefined : contentOf(member.body);
  return {
    userId,
    displayName: textIn(content, "displayname"),
    avatarUrl: textIn(content, "avatar_url"),
  };
}

function contentOf(body: Buffer): unknown {
  try {
    const event: unknown = JSON.parse(body.toString("utf8"));
    return typeof event === "object" && event !== null && "content" in event ? event.content : undefined;
  } catch {
    return undefined;
  }
}

function textIn(content: unknown, key: string): string | undefined {
  if (typeof content !== "object" || content === null) return undefined;
  const value: unknown = Object.getOwnPropertyDescriptor(content, key)?.value;
  return typeof value === "string" && value !== "" ? value : undefined;
}
