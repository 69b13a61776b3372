import { expect, test } from "@jest/globals";
import { startJobs } from "../../src/jobs/jobs.ts";
import { openTestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

test("a queue that cannot start leaves nothing behind", async () => {
  await using db = await openTestDatabase();
  const connections = async () => {
    const text =
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slidecar jobs'";
    return (await db.query({ text, values: [] })).length;
  };
  const job = { name: "test", run: async () => {} };
  const deps = { databaseUrl: db.url, onError: () => {} };
  await using jobs = await startJobs(deps, [{ ...job, schedule: "0 0 * * *" }]);
  const before = await connections();
  expect(before).toBeGreaterThan(0);
  await expect(startJobs(deps, [{ ...job, schedule: "no schedule" }])).rejects.toThrow();
  await until(async () => (await connections()) <= before);
  await jobs[Symbol.asyncDispose]();
  await until(async () => (await connections()) === 0);
});
