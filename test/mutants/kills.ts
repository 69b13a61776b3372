import type { Mutant } from "./mutant.ts";

const INTAKE = "test/kills/intake-kills.test.ts";
const DATABASE = "test/kills/database-kills.test.ts";
const SERVING = "test/kills/serving-kills.test.ts";
const STORED_CONNECTIONS = "test/service/store-connections.test.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "a stream moves on in a transaction of its own, before its data is stored",
    file: "src/intake/ingest/writer.ts",
    find: "    const startedMs = performance.now();\n",
    replace: `    const startedMs = performance.now();
    for (const { claim, end } of parts) {
      if (end === undefined) continue;
      const values = [claim.deviceNid, end.since.from, end.since.to];
      await db.query({
        text: "UPDATE devices SET since = $3 WHERE device_nid = $1 AND since IS NOT DISTINCT FROM $2::text",
        values,
      });
    }
    parts = parts.map((part) => {
      const { end } = part;
      return end === undefined ? part : { ...part, end: { ...end, since: { from: end.since.to, to: end.since.to } } };
    });
`,
    test: INTAKE,
  },
  {
    name: "a response whose COMMIT was not answered is stored again without a look at where the stream stands",
    file: "src/intake/ingest/read-before.ts",
    find: " && device.since === end?.since.from) return;",
    replace: ") return;",
    test: INTAKE,
  },
  {
    name: "a COMMIT that was not answered counts as done",
    file: "src/intake/ingest/writer.ts",
    find: "for (const { reject } of group) reject(error);",
    replace:
      "for (const { resolve, reject } of group) if (error.mayHaveCommitted) resolve();\n      else reject(error);",
    test: INTAKE,
  },
  {
    name: "an answer goes out before it is stored what it told",
    file: "src/sync/connections.ts",
    find: "const isSaved = await this.#append(",
    replace: "const isSaved = true;\n    void this.#append(",
    test: INTAKE,
  },
  {
    name: "an answer that another process stored too late counts as told",
    file: "src/store/connections.ts",
    find: "if (row.position !== next || row.delta === null) continue;",
    replace: "if (row.delta === null) continue;",
    test: "test/service/read-connections.test.ts",
  },
  {
    name: "what a connection was told waits for the disk",
    file: "src/store/statement.ts",
    find: "set_config('synchronous_commit', 'off', true) = 'off'",
    replace: "true",
    test: STORED_CONNECTIONS,
  },
  {
    name: "what a connection was told stays when it goes",
    file: "src/store/migrations/0027_deltas_of_removed.sql",
    find: "connection = ANY (ARRAY(SELECT connection FROM removed))",
    replace: "connection = ANY (ARRAY(SELECT connection FROM removed)) AND parent = 0",
    test: STORED_CONNECTIONS,
  },
  {
    name: "an answer is stored for a connection that is just being removed",
    file: "src/store/connections.ts",
    find: "connection = $1 AND confirmed = $2 FOR SHARE",
    replace: "connection = $1 AND confirmed = $2",
    test: STORED_CONNECTIONS,
  },
  {
    name: "what was told may be lost with the database server",
    file: "src/store/transaction.ts",
    find: '"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN";',
    replace: '"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN; SET LOCAL synchronous_commit = off";',
    test: DATABASE,
  },
  {
    name: "the sequence of to-device messages begins anew with the database server",
    file: "src/store/device-stream.ts",
    find: `VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $2)
    ON CONFLICT (device_nid) DO UPDATE SET sequence = GREATEST(h.sequence + $2, EXCLUDED.sequence)`,
    replace: `VALUES ($1, (extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) * 1000000)::bigint + $2)
    ON CONFLICT (device_nid) DO UPDATE SET sequence = EXCLUDED.sequence`,
    test: DATABASE,
  },
  {
    name: "messages to a device go when they are read for an answer, not when they are acknowledged",
    file: "src/store/extension-reader.ts",
    find: `  SELECT sequence, body FROM to_device_messages
   WHERE device_nid = $1 AND sequence > $2 ORDER BY sequence LIMIT $3\``,
    replace: `  WITH read AS (
    SELECT sequence, body FROM to_device_messages WHERE device_nid = $1 AND sequence > $2 ORDER BY sequence LIMIT $3
  ), gone AS (
    DELETE FROM to_device_messages AS m USING read AS r WHERE m.device_nid = $1 AND m.sequence = r.sequence
  )
  SELECT sequence, body FROM read ORDER BY sequence\``,
    test: SERVING,
  },
  {
    name: "messages to a device go before it is known that the client's token is one of ours",
    file: "src/sync/acknowledgements.ts",
    find: "    if (since > (await this.#head(known, since, call.signal))) {\n",
    replace: `    await deleteToDevice(db, deviceNid, since);
    if (since > (await this.#head(known, since, call.signal))) {
`,
    test: SERVING,
  },
];
