import type { Mutant } from "./mutant.ts";

const file = "src/store/migrations/0013_changed_rooms.sql";
const test = "test/properties/positions.property.test.ts";

const CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const DRAW = `  PERFORM pg_advisory_xact_lock(7304981);
  UPDATE stream_head AS h
     SET position = GREATEST(h.position + count, ${CLOCK})
  RETURNING h.position INTO last;
`;

export const mutants: readonly Mutant[] = [
  {
    name: "positions come from a sequence, without a lock",
    file,
    find: DRAW,
    replace: "  last := nextval('batch_ids') + count;\n",
    test,
  },
  {
    name: "the lock on positions ends before the commit",
    file,
    find: DRAW,
    replace: `  PERFORM pg_advisory_lock(7304981);
  last := ${CLOCK} + count;
  PERFORM pg_sleep(0.00001);
  PERFORM pg_advisory_unlock(7304981);
`,
    test,
  },
  {
    name: "positions go on from the stored head alone, which a dump takes back",
    file,
    find: `GREATEST(h.position + count, ${CLOCK})`,
    replace: "h.position + count",
    test,
  },
  {
    name: "positions are the time, also when the clock was set back",
    file,
    find: `GREATEST(h.position + count, ${CLOCK})`,
    replace: CLOCK,
    test,
  },
  {
    name: "the number of batches is left out of the step",
    file,
    find: "GREATEST(h.position + count, ",
    replace: "GREATEST(h.position + 1, ",
    test,
  },
  {
    name: "a writer is told the last of its positions for the first",
    file,
    find: "RETURN last - count + 1;",
    replace: "RETURN last;",
    test,
  },
  {
    name: "a transaction that fails is stored all the same",
    file: "src/store/transaction.ts",
    find: 'await client.query("ROLLBACK");',
    replace: 'await client.query("COMMIT");',
    test,
  },
];
