// Runs once before all test files. The cluster itself starts when the first test asks for a database, so that a run of
// pure tests pays nothing.
import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { type Keeper, startKeeper } from "./cluster.ts";

declare global {
  var endTestRun: (() => Promise<void>) | undefined;
}

// biome-ignore lint/style/noDefaultExport: jest takes the default export.
export default async function globalSetup(): Promise<void> {
  let keeper: Promise<Keeper> | undefined;
  // Test files ask from other processes; the answer is the template, or why there is none.
  const asked = createServer((socket) => {
    socket.on("error", () => {});
    keeper ??= startKeeper();
    keeper.then(
      ({ template }) => socket.end(JSON.stringify({ template })),
      (error: unknown) => socket.end(JSON.stringify({ error: String(error) })),
    );
  });
  // An abstract socket: no file stays behind, whatever ends this process.
  const name = `slidecar-test-${randomUUID()}`;
  await new Promise<void>((resolve) => asked.listen(`\0${name}`, resolve));
  asked.unref();
  process.env.SLIDECAR_TEST_CLUSTER = name;
  globalThis.endTestRun = async () => {
    asked.close();
    const started = await keeper?.catch(() => undefined);
    await started?.end();
  };
}
