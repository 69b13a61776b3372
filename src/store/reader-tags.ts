import type { RoomNid, UserNid } from "../model/ids.ts";
import { tagsIn } from "../model/room-lists.ts";
import type { Queryable } from "./database.ts";

/** Tags of one reader's rooms; rooms without any are not in it. */
export type ReaderTags = ReadonlyMap<RoomNid, ReadonlySet<string>>;

const SELECT_ALL = `SELECT a.room, a.body FROM account_data AS a WHERE a.user_nid = $1 AND a.type = 'm.tag'`;

interface Row {
  readonly room: number;
  readonly body: Buffer;
}

/** The tags of all rooms of a reader. */
export async function selectReaderTags(db: Queryable, userNid: UserNid): Promise<Map<RoomNid, ReadonlySet<string>>> {
  const rows = await db.query<Row>({ name: "reader-tags", text: SELECT_ALL, values: [userNid] });
  return tagsOf(rows);
}

const SELECT_SOME = `
  SELECT w.user_nid, w.room, a.body
    FROM unnest($1::int[], $2::int[]) AS w (user_nid, room)
   CROSS JOIN LATERAL (
         SELECT k.body FROM account_data AS k
          WHERE k.user_nid = w.user_nid AND k.room = w.room AND k.type = 'm.tag' LIMIT 1) AS a`;

/** The tags of some rooms of several readers. */
export async function selectSomeReaderTags(
  db: Queryable,
  wanted: readonly { readonly userNid: UserNid; readonly tagged: ReadonlySet<RoomNid> }[],
): Promise<ReadonlyMap<UserNid, ReaderTags>> {
  const keys = wanted.flatMap(({ userNid, tagged }) => [...tagged].map((room) => ({ userNid, room })));
  if (keys.length === 0) return new Map();
  const values = [keys.map(({ userNid }) => userNid), keys.map(({ room }) => room)];
  const rows = await db.query<Row & { user_nid: number }>({ name: "some-reader-tags", text: SELECT_SOME, values });
  const byUser = Map.groupBy(rows, ({ user_nid }) => user_nid as UserNid);
  return new Map([...byUser].map(([userNid, own]) => [userNid, tagsOf(own)]));
}

function tagsOf(rows: readonly Row[]): Map<RoomNid, ReadonlySet<string>> {
  const all = rows.map(({ room, body }) => [room as RoomNid, tagsIn(body)] as const);
  return new Map(all.filter(([, tags]) => tags.size > 0));
}
