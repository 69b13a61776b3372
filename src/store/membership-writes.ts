import { isDeparted, Membership } from "../model/membership.ts";
import type { RoomWrites } from "../model/room-facts.ts";
import type { Tx } from "./database.ts";

const DEPARTED = `(${Membership.leave}, ${Membership.ban})`;

// `since_batch` 0: the membership is the same as before, which only a row that is there already can have. Who is in a room
// again has not forgotten it, nor who was sent away once more: then there was a return in between.
const UPSERT_MEMBERSHIPS = `
  INSERT INTO memberships AS m (user_nid, room, membership, sender, nid, batch, since_batch, since_order_key, departure_nid,
                                stripped, since_us)
  SELECT * FROM unnest($1::int[], $2::int[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                       $8::bigint[], $9::bigint[], $10::bytea[], $11::bigint[])
  ON CONFLICT (user_nid, room) DO UPDATE
     SET membership = EXCLUDED.membership, sender = EXCLUDED.sender, nid = EXCLUDED.nid, batch = EXCLUDED.batch,
         forgotten = m.forgotten AND EXCLUDED.membership IN ${DEPARTED}
                     AND NOT (m.membership IN ${DEPARTED} AND coalesce(m.nid <> EXCLUDED.nid, false)),
         departure_nid = EXCLUDED.departure_nid, stripped = EXCLUDED.stripped,
         since_us = CASE WHEN EXCLUDED.since_batch = 0 THEN m.since_us ELSE EXCLUDED.since_us END,
         since_batch = CASE WHEN EXCLUDED.since_batch = 0 THEN m.since_batch ELSE EXCLUDED.since_batch END,
         since_order_key = CASE WHEN EXCLUDED.since_batch = 0 THEN coalesce(EXCLUDED.since_order_key, m.since_order_key)
                                ELSE EXCLUDED.since_order_key END`;

/** Stores new own memberships, in the order of their batches. */
export async function upsertMemberships(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const all = writes.flatMap(({ room, memberships }) => memberships.map((item) => ({ room, ...item })));
  if (all.length === 0) return;
  // Changes of one (user, room) in one transaction are folded: the last stands; a transition among them is one.
  const folded = new Map<string, (typeof all)[number] & { readonly sinceBatch: number }>();
  for (const change of all) {
    const key = `${change.userNid}/${change.room}`;
    const { sinceBatch = 0, sinceOrderKey, sinceUs } = folded.get(key) ?? {};
    const isSame = !change.isTransition;
    const kept = { sinceBatch, sinceOrderKey: change.sinceOrderKey ?? sinceOrderKey, sinceUs };
    folded.set(key, isSame ? { ...change, ...kept } : { ...change, sinceBatch: change.batch });
  }
  const changes = [...folded.values()];
  const values = [
    changes.map(({ userNid }) => userNid),
    changes.map(({ room }) => room),
    changes.map(({ membership }) => membership),
    changes.map(({ sender }) => sender),
    changes.map(({ nid }) => nid),
    changes.map(({ batch }) => batch),
    changes.map(({ sinceBatch }) => sinceBatch),
    changes.map(({ sinceOrderKey }) => sinceOrderKey),
    changes.map(({ membership, nid }) => (isDeparted(membership) ? nid : undefined)),
    changes.map(({ stripped }) => stripped),
    changes.map(({ sinceUs }) => sinceUs),
  ];
  await tx.query({ name: "upsert-memberships", text: UPSERT_MEMBERSHIPS, values });
}

const UPDATE_PERSONAL = `
  UPDATE memberships AS m
     SET heroes = CASE WHEN p.has_heroes
                       THEN ARRAY(SELECT jsonb_array_elements_text(p.heroes::jsonb)) ELSE m.heroes END,
         notification_count = coalesce(p.notifications, m.notification_count),
         highlight_count = coalesce(p.highlights, m.highlight_count),
         counts_batch = CASE WHEN p.notifications IS NULL THEN m.counts_batch ELSE p.batch END,
         heroes_batch = CASE WHEN p.has_heroes THEN p.batch ELSE m.heroes_batch END
    FROM unnest($1::int[], $2::int[], $3::bool[], $4::text[], $5::int[], $6::int[], $7::bigint[])
         AS p (user_nid, room, has_heroes, heroes, notifications, highlights, batch)
   WHERE m.user_nid = p.user_nid AND m.room = p.room`;

/** Stores heroes and unread counts. */
export async function updatePersonal(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const all = writes.flatMap(({ room, personal }) => personal.map((item) => ({ room, ...item })));
  // An UPDATE takes one row per target, and the fields of one (user, room) may come from several sections.
  const folded = new Map<string, (typeof all)[number]>();
  for (const change of all) {
    const key = `${change.userNid}/${change.room}`;
    const earlier = folded.get(key);
    folded.set(key, { ...change, heroes: change.heroes ?? earlier?.heroes, counts: change.counts ?? earlier?.counts });
  }
  const changes = [...folded.values()];
  if (changes.length === 0) return;
  const values = [
    changes.map(({ userNid }) => userNid),
    changes.map(({ room }) => room),
    changes.map(({ heroes }) => heroes !== undefined),
    changes.map(({ heroes }) => JSON.stringify(heroes ?? [])),
    changes.map(({ counts }) => counts?.notifications),
    changes.map(({ counts }) => counts?.highlights),
    changes.map(({ batch }) => batch),
  ];
  await tx.query({ name: "update-personal", text: UPDATE_PERSONAL, values });
}
