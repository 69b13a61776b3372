import { isStorableText, type JsonObject, textAt } from "../../lib/json-value.ts";
import type { RoomRow } from "../../model/room-row.ts";
import { visibilityOf } from "../../model/visibility.ts";

/** Columns of a room that may change; a key with undefined clears the column. */
type ColumnPatch = Partial<Omit<RoomRow, "room" | "roomId" | "isComplete">>;

/** What one new value of current state changes in the room's columns; most state changes nothing. */
export function columnsOf(type: string, stateKey: string, content: JsonObject): ColumnPatch {
  if (stateKey !== "") return {};
  switch (type) {
    case "m.room.create":
      return { roomType: text(content, "type"), roomVersion: text(content, "room_version") };
    case "m.room.name":
      return { name: text(content, "name") };
    case "m.room.avatar":
      return { avatar: text(content, "url") };
    case "m.room.encryption":
      // Whatever it holds: a room that once said it is encrypted is never treated as plain.
      return { isEncrypted: true };
    case "m.room.history_visibility":
      return { historyVisibility: visibilityOf(content.history_visibility) };
    case "m.room.tombstone":
      return { tombstoneSuccessor: text(content, "replacement_room") };
    default:
      return {};
  }
}

/** Empty counts as absent: clients show nothing for it. */
function text(content: JsonObject, key: string): string | undefined {
  const value = textAt(content, key);
  return value !== undefined && value !== "" && isStorableText(value) ? value : undefined;
}
