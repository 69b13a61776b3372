import type { ReaderView } from "../engine/view.ts";
import type { DeviceNid, RoomId, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { Memory } from "../store/memory.ts";

interface Reader {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly deviceNid: DeviceNid;
}

/**
 * What memory holds for a reader whose lists are filtered by `spaces`. It stands at the position of this process until something
 * is waited for.
 */
export async function readerView(
  memory: Memory,
  { userNid, userId, deviceNid }: Reader,
  spaces: Iterable<RoomId>,
): Promise<ReaderView> {
  const { columns, readers, devices } = memory;
  // A space that is too large for memory is read for each answer.
  let read: ReadonlyMap<RoomNid, ReadonlySet<RoomId>> = new Map();
  for (;;) {
    const [{ own, rooms, tags, accountData }] = await Promise.all([
      readers.get(userNid, userId),
      devices.get(deviceNid),
    ]);
    const device = devices.peek(deviceNid);
    const wanted = [...spaces].flatMap((roomId) => rooms.findRoom(roomId) ?? []);
    const known = new Map(wanted.map((space) => [space, memory.spaces.of(space) ?? read.get(space)]));
    const unknown = wanted.filter((space) => known.get(space) === undefined);
    if (unknown.length === 0 && device !== undefined) {
      const childrenOf = (space: RoomNid) => known.get(space) ?? NO_ROOMS;
      return { userNid, userId, own, device, tags, accountData, facts: columns, rooms, childrenOf };
    }
    read = new Map([...read, ...(await memory.spaces.load(unknown))]);
  }
}

const NO_ROOMS: ReadonlySet<RoomId> = new Set();
