import { ROOM_STREAMS, type RoomStream } from "../connection/streams.ts";
import type { ExtensionScope, ExtensionsRequest } from "../request.ts";
import type { ReaderView } from "../view.ts";
import type { Coverage } from "./coverage.ts";

/** Which rooms, by index in the reader's rooms, an extension tells of. */
export type InScope = (index: number) => boolean;

/** Whether it has to be known which lists cover a room. The usual request asks for all that it covers. */
export const namesLists = (extensions: ExtensionsRequest): boolean =>
  ROOM_STREAMS.some((stream) => {
    const scope = extensions[stream];
    return scope !== undefined && scope.rooms !== "all" && (scope.lists === "all" || scope.lists.size > 0);
  });

/** undefined: the extension is not asked for. Holds until the coverage is reset. */
export const scopesOf = (
  extensions: ExtensionsRequest,
  coverage: Coverage,
  view: ReaderView,
): Readonly<Record<RoomStream, InScope | undefined>> => {
  const of = (scope: ExtensionScope | undefined) => scope && inScope(scope, coverage, view);
  return { accountData: of(extensions.accountData), receipts: of(extensions.receipts), typing: of(extensions.typing) };
};

function inScope({ lists, rooms }: ExtensionScope, coverage: Coverage, view: ReaderView): InScope {
  const isCovered = (index: number) => coverage.configOf(index) !== undefined;
  if (rooms === "all") return isCovered;
  const named = new Set<number>();
  for (const roomId of rooms) {
    const room = view.rooms.findRoom(roomId);
    if (room !== undefined) named.add(view.rooms.indexOf(room));
  }
  const isListed = (covering: ReadonlySet<string>) =>
    lists === "all" ? covering.size > 0 : haveCommon(covering, lists);
  return (index) => isCovered(index) && (named.has(index) || isListed(coverage.listsOf(index)));
}

function haveCommon(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const each of a) if (b.has(each)) return true;
  return false;
}
