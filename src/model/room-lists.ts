import { isJsonObject } from "../lib/json-value.ts";
import { contentOf } from "./event-content.ts";
import { isRoomId, type RoomId } from "./ids.ts";

/** Rooms that the content of `m.direct` names (Client-Server API, "Direct Messaging"); what is no list names none. */
export function directRooms(content: unknown): readonly RoomId[] {
  const lists: unknown[] = isJsonObject(content) ? Object.values(content) : [];
  return lists.flatMap((list) => (Array.isArray(list) ? list.filter(isRoomId) : []));
}

/** Tags that an `m.tag` event gives its room (Client-Server API, "Room Tagging"). */
export function tagsIn(event: Buffer): ReadonlySet<string> {
  const content = contentOf(event);
  const tags = isJsonObject(content) ? content.tags : undefined;
  return new Set(isJsonObject(tags) ? Object.keys(tags) : []);
}

/** Whether an `m.space.child` event says that its room is in the space (Client-Server API, "Spaces"): it needs `via`. */
export function isSpaceChild(event: Buffer): boolean {
  const content = contentOf(event);
  return isJsonObject(content) && Array.isArray(content.via);
}
