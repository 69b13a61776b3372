import type { RoomId } from "../../model/ids.ts";
import { tagsIn } from "../../model/room-lists.ts";
import { BEFORE_ALL } from "../../model/stream-position.ts";
import type { ExtensionScope } from "../request.ts";
import type { AccountDataAnswer } from "../response.ts";
import type { Extension, ExtensionInput } from "./extension.ts";
import { toldRooms } from "./room-streams.ts";

/** Account data (MSC3959, MSC4548): all of it first, then what changed. A deleted type has an empty content. */
export const accountData: Extension<ExtensionScope, AccountDataAnswer> = (_scope, input) => {
  const planned = input.streams.accountData;
  const global = globalReads(input);
  return {
    reads: ({ answered }) => {
      const rooms = toldRooms(planned, answered);
      return global === undefined && rooms.length === 0 ? {} : { accountData: { global, rooms } };
    },
    say: ({ accountData: read }, answered) => {
      const told = new Map(toldRooms(planned, answered).map((each) => [each.room, each]));
      const rooms = new Map<RoomId, Buffer[]>();
      const ofNone: Buffer[] = [];
      for (const { room, type, body } of read) {
        const due = room === undefined ? undefined : told.get(room);
        if (room === undefined) ofNone.push(body);
        if (due === undefined || (due.after === undefined && isNoTag(type, body))) continue;
        rooms.set(due.roomId, [...(rooms.get(due.roomId) ?? []), body]);
      }
      return { answer: { global: ofNone, rooms }, isNews: ofNone.length + rooms.size > 0 };
    },
  };
};

/** The last tag was taken away: who was told of none needs not be told so. */
const isNoTag = (type: string, body: Buffer): boolean => type === "m.tag" && tagsIn(body).size === 0;

/** undefined: the client has what belongs to no room. */
function globalReads({ view, from = BEFORE_ALL, accountDataTold: told }: ExtensionInput) {
  const after = told === "live" ? from : told;
  return after !== undefined && view.accountData.globalAt <= after ? undefined : { after };
}
