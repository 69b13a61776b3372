import { isJsonObject, textAt } from "../../lib/json-value.ts";
import { contentOf } from "../../model/event-content.ts";
import type { RoomNid, UserId } from "../../model/ids.ts";
import type { RoomData } from "../../model/room-reads.ts";
import type { StateEvent } from "../../model/stored-event.ts";
import { MEMBER, NAME } from "../event-types.ts";
import type { SyncPlan } from "../plan.ts";
import type { Hero } from "../response.ts";
import { cutOf, showsGap } from "./room-cut.ts";
import type { RoomPlan } from "./room-plan.ts";

/**
 * The heroes to be told: those of a joined room without a name, on the first answer, when others are named, and when members
 * changed, as theirs may be among them. A gap hides which members changed, so it counts as a change.
 */
export function neededHeroes(plan: RoomPlan, data: RoomData, hasGap: boolean): readonly UserId[] {
  return areNews(plan, data, hasGap) ? (data.heroes ?? []) : [];
}

function areNews(plan: RoomPlan, data: RoomData, hasGap: boolean): boolean {
  if (plan.as !== "joined" || plan.memory.name !== undefined) return false;
  const isConcerned = ({ type }: { readonly type: string }) => type === MEMBER || type === NAME;
  return (
    plan.reads?.heroes === true || hasGap || data.changed.some(isConcerned) || data.removed?.some(isConcerned) === true
  );
}

/** Rooms whose heroes turn out to be needed and were not read with the rest. */
export function heroReads(plan: SyncPlan, data: ReadonlyMap<RoomNid, RoomData>): readonly RoomNid[] {
  return plan.rooms.flatMap((room) => {
    const known = data.get(room.room);
    if (known === undefined || known.heroes !== undefined) return [];
    try {
      return areNews(room, known, showsGap(cutOf(plan, room, known))) ? [room.room] : [];
    } catch {
      // It fails in assembling too, where it is named; it must not fail the others.
      return [];
    }
  });
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

/** A text that is not empty, of the content of an event. */
export function textIn(content: unknown, key: string): string | undefined {
  const text = isJsonObject(content) ? textAt(content, key) : undefined;
  return text === "" ? undefined : text;
}
