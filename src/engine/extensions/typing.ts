import type { RoomId, UserId } from "../../model/ids.ts";
import type { ExtensionScope } from "../request.ts";
import type { TypingAnswer } from "../response.ts";
import type { Extension } from "./extension.ts";
import { toldRooms } from "./room-streams.ts";

/** Who types in rooms that the reader is in (MSC3961, MSC4508): the whole list each time that it changed. */
export const typing: Extension<ExtensionScope, TypingAnswer> = (_scope, { view, streams }) => {
  const planned = streams.typing;
  const { ignored } = view.own;
  return {
    reads: ({ answered }) => {
      const rooms = toldRooms(planned, answered);
      return rooms.length === 0 ? {} : { typing: rooms };
    },
    say: ({ typing: read }, answered) => {
      const told = new Map(toldRooms(planned, answered).map((each) => [each.room, each]));
      const rooms = new Map<RoomId, readonly UserId[]>();
      for (const { room, userIds } of read) {
        const due = told.get(room);
        if (due === undefined) continue;
        const shown = userIds.filter((userId) => !ignored.has(userId));
        // Who was told nothing takes it that nobody types.
        if (shown.length > 0 || due.after !== undefined) rooms.set(due.roomId, shown);
      }
      return { answer: { rooms }, isNews: rooms.size > 0 };
    },
  };
};
