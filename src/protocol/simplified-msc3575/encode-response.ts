import type { Range, SyncRequest } from "../../engine/request.ts";
import type { ListAnswer, SyncResponse } from "../../engine/response.ts";
import { PieceWriter } from "../shared/piece-writer.ts";
import { writeExtensions } from "./encode-extensions.ts";
import { writeRoom } from "./encode-room.ts";

/** Writes an answer of the simplified dialect. */
export function encodeResponse(
  response: SyncResponse,
  pos: string,
  request: SyncRequest,
  withOps: boolean,
): readonly Buffer[] {
  const writer = new PieceWriter();
  writer.text(`{"pos":${JSON.stringify(pos)}`);
  if (request.lists.size > 0) writer.text(`,"lists":${JSON.stringify(wireLists(response.lists, withOps))}`);
  let separator = ',"rooms":{';
  for (const room of response.rooms) {
    writer.text(`${separator}${JSON.stringify(room.roomId)}:`);
    writeRoom(writer, room, request.connId === "");
    separator = ",";
  }
  if (response.rooms.length === 0) writer.text(separator);
  writer.text('},"extensions":');
  writeExtensions(writer, response.extensions);
  writer.text("}");
  return writer.finish();
}

/** A list's key may be any text, `__proto__` included, and must not be taken for more than that. */
function wireLists(lists: SyncResponse["lists"], withOps: boolean): Record<string, unknown> {
  const wire: Record<string, unknown> = Object.create(null);
  for (const [key, list] of lists) wire[key] = wireList(list, withOps);
  return wire;
}

const wireList = ({ count, windows }: ListAnswer, withOps: boolean) =>
  withOps ? { count, ops: windows.map(({ range, roomIds }) => syncOp(range, roomIds)) } : { count };

/** The range as it was asked for, however few rooms there are. */
const syncOp = (range: Range, roomIds: readonly string[]) => ({
  op: "SYNC",
  range: [range.first, range.last],
  room_ids: roomIds,
});
