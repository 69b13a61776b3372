// A plan is made when a statement is first used: on a new installation while its tables are empty, when reading them whole
// seems cheapest. No plan of ours may do so: it would be kept while the first syncs fill them.
import { afterAll, expect, test } from "@jest/globals";
import { endTyping } from "../../src/store/typing-ends.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import { noting } from "../support/noted-statements.ts";
import type { WireEvent } from "../support/stored-world.ts";
import { SyncWorld } from "../support/sync-world.ts";

/** Of one row. */
const SINGLE = new Set(["stream_head"]);

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly Plans?: readonly PlanNode[];
}

const nodesOf = (node: PlanNode): readonly PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** Tables of ours that a statement reads from one end to the other, whatever its values. */
async function readWhole(db: TestDatabase, text: string): Promise<readonly string[]> {
  const rows = await db.query<{ "QUERY PLAN": readonly { readonly Plan: PlanNode }[] }>({
    text: `EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`,
  });
  const nodes = rows.flatMap((row) => row["QUERY PLAN"]).flatMap(({ Plan }) => nodesOf(Plan));
  const tables = nodes.flatMap((node) => (node["Node Type"] === "Seq Scan" ? [node["Relation Name"] ?? ""] : []));
  return tables.filter((table) => !SINGLE.has(table) && !table.startsWith("pg_"));
}

const texts = new Map<string, string>();
let db: TestDatabase;

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

test("no statement that stores, follows or answers reads a table from one end to the other", async () => {
  db = await openTestDatabase();
  await using world = await SyncWorld.start(noting(db, texts));
  const { stored } = world;
  const alice = await stored.user("alice");
  const bob = await stored.user("bob");
  await world.poll(alice);
  const roomId = stored.roomId();
  const room = stored.newRoom([alice.userId, bob.userId], [stored.message(bob.userId)]);
  await stored.store(alice, { join: { [roomId]: room } }, { isLong: true, isCatchUp: true });
  await world.caughtUp();
  const lists = (limit: number) => ({ main: list([[0, 19]], config(limit, "m.room.create", "m.room.name", "lazy")) });
  const scope = { lists: "all", rooms: "all" } as const;
  const extensions = { accountData: scope, receipts: scope, typing: scope };
  const asked = request(lists(5), undefined, { extensions });
  const first = await world.sync(alice, asked);
  await stored.store(bob, { join: { [roomId]: room } });
  await world.caughtUp();
  const bobs = await world.sync(bob, asked);
  expect(first.response.rooms.map((answer) => answer.roomId)).toEqual([roomId]);
  const kicked: WireEvent = stored.member(bob.userId, "leave", alice.userId);
  await stored.store(alice, {
    join: {
      [roomId]: {
        timeline: { events: [stored.message(alice.userId), kicked] },
        unread_notifications: { notification_count: 1, highlight_count: 0 },
        account_data: { events: [{ type: "m.tag", content: {} }] },
        ephemeral: {
          events: [
            { type: "m.typing", content: { user_ids: [bob.userId] } },
            { type: "m.receipt", content: { $unknown: { "m.read": { [bob.userId]: { ts: 1 } } } } },
          ],
        },
      },
    },
  });
  await world.caughtUp();
  const second = await world.sync(alice, { ...asked, pos: first.pos });
  await world.sync(alice, { ...asked, ...request(lists(20)), pos: second.pos });
  // On a connection that never told of any.
  const without = await world.sync(alice, { ...asked, extensions: {} });
  await world.sync(alice, { ...asked, pos: without.pos });
  // So many that what Bob may still see of the room is in nobody's memory.
  const events = Array.from({ length: 260 }, () => stored.message(alice.userId));
  await stored.store(alice, { join: { [roomId]: { timeline: { events } } } });
  await world.caughtUp();
  await world.sync(bob, { ...asked, pos: bobs.pos });
  await endTyping(world.db);
  await db.query({ text: "UPDATE typing SET heard_at = heard_at - interval '1 minute'" });
  await endTyping(world.db);
  const some = [
    ...["insert-events", "select-changes", "some-columns", "select-state-at", "select-account-data", "select-typing"],
    ...["own-receipts", "receipts-on-events", "receipts-on-newest", "changed-receipts"],
    ...["select-newest", "select-tails", "lock-silent-rooms", "end-typing"],
  ];
  expect([...texts.keys()]).toEqual(expect.arrayContaining(some));
  const found: string[] = [];
  for (const [name, text] of texts) for (const table of await readWhole(db, text)) found.push(`${name}: ${table}`);
  expect(found).toEqual([]);
});
