// When account data, receipts and typing changed: what memory holds of it, against the changes that are stored.
import { ChangeStream } from "../../src/model/change.ts";
import type { RoomNid } from "../../src/model/ids.ts";
import type { Database } from "../../src/store/database.ts";
import type { Memory } from "../../src/store/memory.ts";
import type { StreamUser } from "./stored-world.ts";

/** A room of which nothing is ever stored: it changed when memory began, as far as that knows. */
const NO_ROOM = 2_000_000 as RoomNid;

interface Newest {
  readonly stream: number;
  /** null: of no room. */
  readonly room: number | null;
  readonly user_nid: number | null;
  readonly position: number;
}

/** In what memory differs from the store. */
export async function positionDifferences(
  db: Database,
  { columns, readers }: Memory,
  users: readonly StreamUser[],
  rooms: readonly RoomNid[],
): Promise<readonly string[]> {
  const newest = await db.query<Newest>({
    text: `SELECT stream, room, user_nid, max(position) AS position FROM changes
            WHERE stream = ANY($1::smallint[]) GROUP BY stream, room, user_nid`,
    values: [[ChangeStream.accountData, ChangeStream.receipts, ChangeStream.typing]],
  });
  const stored = (stream: number, room: number | null, user: number | null) =>
    newest.find((each) => each.stream === stream && each.room === room && each.user_nid === user)?.position ?? 0;
  const found: string[] = [];
  const check = (isRight: boolean, what: string) => isRight || found.push(what);
  for (const room of rooms) {
    const [receipts, typing] = [ChangeStream.receipts, ChangeStream.typing].map((stream) =>
      Math.max(columns.receiptsAt(NO_ROOM), stored(stream, room, null)),
    );
    check(columns.receiptsAt(room) === receipts, `receipts of ${room}: ${columns.receiptsAt(room)}, not ${receipts}`);
    check(columns.typingAt(room) === typing, `typing in ${room}: ${columns.typingAt(room)}, not ${typing}`);
    check(columns.ephemeralNear(room) >= Math.max(receipts ?? 0, typing ?? 0), `near ${room}`);
  }
  for (const { userNid, userId } of users) {
    const { accountData } = await readers.get(userNid, userId);
    const beginning = accountData.at(NO_ROOM);
    for (const room of [null, ...rooms]) {
      const at = room === null ? accountData.globalAt : accountData.at(room);
      const expected = Math.max(beginning, stored(ChangeStream.accountData, room, userNid));
      check(at === expected, `account data of ${userId} in ${room}: ${at}, not ${expected}`);
      check(accountData.newestAt >= at, `newest account data of ${userId}: ${accountData.newestAt}, not ${at}`);
    }
  }
  return found;
}
