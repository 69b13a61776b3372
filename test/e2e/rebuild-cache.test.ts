// The cache is dropped and read anew before a real Synapse, with the response cache that it has by default.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { freePort, runProgram, startProgram, until } from "../support/program.ts";
import { register, Session } from "../support/room-life/api.ts";
import { startSynapse } from "./support/synapse.ts";

const PASSWORD = "correct horse";
const SYNC = "unstable/org.matrix.simplified_msc3575/sync?timeout=0";
const EVENTS = 20;

interface Answer {
  readonly pos: string;
  readonly rooms: Readonly<
    Record<string, { readonly name?: string; readonly timeline: readonly { readonly event_id: string }[] }>
  >;
}

const LISTS = { lists: { all: { ranges: [[0, 99]], timeline_limit: EVENTS, required_state: [["m.room.topic", ""]] } } };

interface Place extends AsyncDisposable {
  readonly url: string;
  readonly run: (command: string) => Promise<string>;
  readonly serve: (work: () => Promise<void>) => Promise<void>;
}

/** Slidecar with an embedded database that outlives its process. */
async function place(homeserverUrl: string): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "slidecar-rebuild-"));
  // When root starts Slidecar, its database runs as another user, who must be able to pass through here.
  await chmod(folder, 0o755);
  const port = await freePort();
  const config = join(folder, "config.yaml");
  const listeners = [{ port, resources: ["client", "internal"] }];
  await writeFile(
    config,
    JSON.stringify({ homeserver: { url: homeserverUrl }, data_dir: join(folder, "data"), listeners }),
  );
  return {
    url: `http://127.0.0.1:${port}`,
    run: async (command) => {
      const result = await runProgram([command, "-c", config]);
      expect(result).toMatchObject({ exitCode: 0, stderr: "" });
      return result.stdout;
    },
    serve: async (work) => {
      await using service = startProgram(["start", "-c", config]);
      await until(() => service.output().includes('"msg":"ready"'), "it is ready");
      await work();
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

test("rooms are what a real Synapse says, and each message to the device is stored once", async () => {
  await using synapse = await startSynapse({ native: false });
  await using at = await place(synapse.url);
  const alice = await register(synapse.url, "alice", PASSWORD, "PHONE");
  const bob = await register(synapse.url, "bob", PASSWORD, "TABLET");
  const kitchen = await alice.createRoom({ preset: "public_chat", name: "kitchen" });
  const cellar = await alice.createRoom({ preset: "public_chat", name: "cellar" });
  await bob.inRoom("POST", kitchen, "join");
  let sent = 0;
  const tell = async () => {
    sent += 1;
    const messages = { [alice.userId]: { [alice.deviceId]: { n: sent } } };
    await bob.call("PUT", `v3/sendToDevice/m.test/t${sent}`, { messages });
  };
  const taken = async () =>
    (await at.run("export-ledger"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { record: string; message?: { content: { n: number } } })
      .flatMap(({ message }) => message?.content.n ?? []);
  const device = new Session(at.url, {
    user_id: alice.userId,
    device_id: alice.deviceId,
    access_token: alice.accessToken,
  });
  const sync = (pos?: string) => device.call<Answer>("POST", pos === undefined ? SYNC : `${SYNC}&pos=${pos}`, LISTS);
  const eventsOf = async (roomId: string) => {
    const path = `messages?dir=b&limit=${EVENTS}`;
    const { chunk } = await alice.inRoom<{ chunk: { event_id: string }[] }>("GET", roomId, path);
    return chunk.map(({ event_id }) => event_id).reverse();
  };
  let pos = "";
  await tell();
  await at.serve(async () => {
    ({ pos } = await sync());
    await until(async () => (await taken()).length === 1, "the first message is stored");
    await alice.sendText(kitchen, "seen by a poll");
    await tell();
    await until(async () => (await taken()).length === 2, "the second message is stored");
  });
  await alice.inRoom("POST", cellar, "leave");
  const attic = await alice.createRoom({ preset: "public_chat", name: "attic" });
  for (let n = 0; n < EVENTS + 10; n++) await bob.sendText(kitchen, `message ${n}`);
  await tell();
  expect(await at.run("rebuild-cache")).toContain("dropped: 2 rooms");
  expect(await taken()).toEqual([1, 2]);
  await at.serve(async () => {
    await expect(sync(pos)).rejects.toThrow("M_UNKNOWN_POS");
    await until(async () => (await taken()).length === 3, "the third message is stored");
    const { rooms } = await sync();
    expect(Object.keys(rooms).sort()).toEqual([attic, kitchen].sort());
    for (const roomId of [attic, kitchen]) {
      expect(rooms[roomId]?.timeline.map(({ event_id }) => event_id)).toEqual(await eventsOf(roomId));
    }
  });
  expect(await taken()).toEqual([1, 2, 3]);
});
