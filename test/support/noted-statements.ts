import type { Database, Queryable } from "../../src/store/database.ts";
import type { TestDatabase } from "./database.ts";

/** The same database; `texts` gets the SQL of every statement by its name, also of those in transactions. */
export function noting(db: TestDatabase, texts: Map<string, string>): TestDatabase {
  const noted = <Inner extends Queryable>(inner: Inner): Inner => ({
    ...inner,
    query: (query: Parameters<Queryable["query"]>[0]) => {
      if (query.name !== undefined) texts.set(query.name, query.text);
      return inner.query(query);
    },
  });
  const write: Database["write"] = (work, options) => db.write((tx) => work(noted(tx)), options);
  const transaction: Database["transaction"] = (work, options) => db.transaction((tx) => work(noted(tx)), options);
  return { ...noted(db), write, transaction };
}
