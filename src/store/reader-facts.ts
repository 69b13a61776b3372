import { contentOf } from "../model/event-content.ts";
import type { RoomId, UserId, UserNid } from "../model/ids.ts";
import { ignoredBy } from "../model/ignored-users.ts";
import type { ReaderFacts } from "../model/reader-facts.ts";
import { directRooms } from "../model/room-lists.ts";
import type { Queryable } from "./database.ts";

export const NO_FACTS: ReaderFacts = { announcedJoined: undefined, ignored: new Set(), direct: new Set() };

const SELECT_FACTS = `
  SELECT u.user_nid, u.user_id, u.announced_joined, a.body AS ignored_list, d.body AS direct
    FROM users AS u
    LEFT JOIN account_data AS a ON a.user_nid = u.user_nid AND a.room = 0 AND a.type = 'm.ignored_user_list'
    LEFT JOIN account_data AS d ON d.user_nid = u.user_nid AND d.room = 0 AND d.type = 'm.direct'
   WHERE u.user_nid = ANY($1::int[])`;

interface Row {
  readonly user_nid: number;
  readonly user_id: string;
  readonly announced_joined: number | null;
  readonly ignored_list: Buffer | null;
  readonly direct: Buffer | null;
}

export async function selectReaderFacts(
  db: Queryable,
  users: readonly UserNid[],
): Promise<ReadonlyMap<UserNid, ReaderFacts>> {
  if (users.length === 0) return new Map();
  const rows = await db.query<Row>({ name: "reader-facts", text: SELECT_FACTS, values: [users] });
  return new Map(
    rows.map(({ user_nid, user_id, announced_joined, ignored_list, direct }) => [
      user_nid as UserNid,
      {
        announcedJoined: announced_joined ?? undefined,
        ignored: ignoredIn(ignored_list, user_id),
        direct: new Set<RoomId>(direct === null ? [] : directRooms(contentOf(direct))),
      },
    ]),
  );
}

/** Nobody ignores themselves, whatever their list says. */
function ignoredIn(event: Buffer | null, owner: string): ReadonlySet<UserId> {
  const named = event === null ? [] : [...ignoredBy(event)];
  return new Set((named as UserId[]).filter((userId) => userId !== owner));
}
