import type { RoomWrites } from "../model/room-facts.ts";
import type { Tx } from "./database.ts";

const UPSERT_MEMBERSHIPS = `
  INSERT INTO memberships AS m (user_nid, room, membership, sender, nid, batch, since_batch, since_order_key, departure_nid,
                                stripped, stripped_us)
  SELECT c.user_nid, c.room, c.membership, c.sender, c.nid, c.batch, c.batch, c.since_order_key, c.nid, c.stripped,
         c.stripped_us
    FROM unnest($1::int[], $2::int[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[], $7::bool[], $8::bigint[],
                $9::bytea[], $10::bigint[])
         AS c (user_nid, room, membership, sender, nid, batch, is_transition, since_order_key, stripped, stripped_us)
  ON CONFLICT (user_nid, room) DO UPDATE
     SET membership = EXCLUDED.membership, sender = EXCLUDED.sender, nid = EXCLUDED.nid, batch = EXCLUDED.batch,
         stripped = EXCLUDED.stripped, stripped_us = EXCLUDED.stripped_us,
         since_batch = CASE WHEN m.membership = EXCLUDED.membership AND NOT $11::bool THEN m.since_batch ELSE EXCLUDED.since_batch END,
         since_order_key = CASE WHEN m.membership = EXCLUDED.membership AND NOT $11::bool
                                THEN m.since_order_key ELSE EXCLUDED.since_order_key END,
         departure_nid = EXCLUDED.departure_nid`;

/** Stores new own memberships, in the order of their batches. */
export async function upsertMemberships(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const all = writes.flatMap(({ room, memberships }) => memberships.map((item) => ({ room, ...item })));
  // Changes of one (user, room) in one transaction are folded: the last stands; a transition among them is one.
  const folded = new Map<string, (typeof all)[number]>();
  for (const change of all) {
    const key = `${change.userNid}/${change.room}`;
    const earlier = folded.get(key);
    const keepsSince = earlier?.isTransition === true && !change.isTransition;
    folded.set(key, keepsSince ? { ...change, isTransition: true, sinceOrderKey: earlier.sinceOrderKey } : change);
  }
  for (const isTransition of [true, false]) {
    const changes = [...folded.values()].filter((change) => change.isTransition === isTransition);
    if (changes.length === 0) continue;
    const values = [
      changes.map(({ userNid }) => userNid),
      changes.map(({ room }) => room),
      changes.map(({ membership }) => membership),
      changes.map(({ sender }) => sender),
      changes.map(({ nid }) => nid),
      changes.map(({ batch }) => batch),
      changes.map((change) => change.isTransition),
      changes.map(({ sinceOrderKey }) => sinceOrderKey),
      changes.map(({ stripped }) => stripped),
      changes.map(({ strippedUs }) => strippedUs),
      isTransition,
    ];
    await tx.query({ name: "upsert-memberships", text: UPSERT_MEMBERSHIPS, values });
  }
}

const UPDATE_PERSONAL = `
  UPDATE memberships AS m
     SET heroes = CASE WHEN p.has_heroes
                       THEN ARRAY(SELECT jsonb_array_elements_text(p.heroes::jsonb)) ELSE m.heroes END,
         notification_count = coalesce(p.notifications, m.notification_count),
         highlight_count = coalesce(p.highlights, m.highlight_count),
         counts_batch = p.batch
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
