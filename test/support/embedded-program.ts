// A program that uses the embedded database in the folder it is given. Prints one line, its URL or why there is none, and
// lives until it is killed.
import { startEmbeddedPostgres } from "../../src/store/embedded-postgres.ts";
import { installedPostgres } from "../../src/store/embedded-postgres-programs.ts";

const [dataDir = ""] = process.argv.slice(2);
try {
  const native = process.env.SLIDECAR_TEST_POSTGRES ?? installedPostgres();
  const { url } = await startEmbeddedPostgres({ dataDir, native, log: () => {}, settings: { fsync: "off" } });
  console.log(url);
  process.stdin.resume();
} catch (error) {
  console.log(String(error));
}
