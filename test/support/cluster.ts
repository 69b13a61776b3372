import { spawn } from "node:child_process";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** A migrated database that every test database is a copy of. */
export interface Template {
  /** A database from which others can be created and dropped. */
  readonly adminUrl: string;
  readonly name: string;
}

export interface Keeper {
  readonly template: Template;
  /** Ends the cluster and removes everything. */
  end(): Promise<void>;
}

/**
 * Starts the process that keeps the cluster. It ends the cluster when its standard input ends, that is also when this
 * process is killed.
 */
export async function startKeeper(): Promise<Keeper> {
  const script = fileURLToPath(new URL("./cluster-keeper.ts", import.meta.url));
  const child = spawn(process.execPath, ["--no-warnings", script], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for await (const line of createInterface({ input: child.stdout })) {
    const end = async () => {
      // Only now may it keep this process alive.
      child.ref();
      child.stdin.end();
      await exited;
    };
    child.unref();
    return { template: JSON.parse(line), end };
  }
  throw new Error("the test cluster did not start; its reason stands above");
}

/** The template of this test run. */
export async function findTemplate(): Promise<Template> {
  const name = process.env.SLIDECAR_TEST_CLUSTER;
  if (name === undefined) throw new Error("no test run: start tests with npm test");
  const answer: { template?: Template; error?: string } = JSON.parse(await text(connect(`\0${name}`)));
  if (answer.template === undefined) throw new Error(answer.error);
  return answer.template;
}
