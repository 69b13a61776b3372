import type { Mutant } from "./mutant.ts";

const ROTATION = "test/service/rotate-secret.test.ts";

const rotation: readonly Mutant[] = [
  {
    name: "a generated secret is replaced before it is kept as a former one",
    file: "src/store/secret-file.ts",
    find: "const former = [present, ...earlier].slice(0, MAX_FORMER);",
    replace:
      'const former = [present, ...earlier].slice(0, MAX_FORMER);\n  await writeWhole(dataDir, join(dataDir, "secret"), newSecret());',
    test: ROTATION,
  },
  {
    name: "a rotation writes over a token that a client has brought meanwhile",
    file: "src/store/rotate-tokens.ts",
    find: "WHERE d.device_nid = n.device_nid AND d.token = n.before",
    replace: "WHERE d.device_nid = n.device_nid AND n.before IS NOT NULL",
    test: ROTATION,
  },
  {
    name: "a rotation that has not ended needs the new secret only",
    file: "src/store/secret-canary.ts",
    find: "if (closed.length > 0) throw",
    replace: "if (closed.length > 0 && closed.length === marks.length) throw",
    test: ROTATION,
  },
];

const CACHE = "test/service/rebuild-cache.test.ts";

const rebuilding: readonly Mutant[] = [
  {
    name: "a device's stream goes on from what was asked anew, past its messages",
    file: "src/intake/poller/response-intake.ts",
    find: "const to = (hasLost || isBesideStream) && since",
    replace: "const to = hasLost && since",
    test: CACHE,
  },
  {
    name: "messages that come with what is asked anew are stored, and again with the stream",
    file: "src/intake/poller/response-intake.ts",
    find: "const rest = isBesideStream ? {",
    replace: "const rest = since === 'never' ? {",
    test: CACHE,
  },
  {
    name: "all is asked anew in words to which the homeserver remembers an old answer",
    file: "src/intake/poller/poller.ts",
    find: "return this.#asksAside ?? 0;",
    replace: "return 0;",
    test: CACHE,
  },
  {
    name: "each device of a user asks for all rooms anew",
    file: "src/store/devices.ts",
    find: "WHERE s.user_nid = c.user_nid AND s.is_synced",
    replace: "WHERE s.user_nid = c.user_nid AND s.is_synced AND false",
    test: CACHE,
  },
  {
    name: "a device asks anew for what another one of its user has brought while it waited",
    file: "src/intake/poller/poller.ts",
    find: "if (!isTold) await",
    replace: "isTold = false;\n          if (!isTold) await",
    test: CACHE,
  },
  {
    name: "the positions of device lists are dropped with the cache",
    file: "src/store/cache.ts",
    find: "const OF_DEVICES = [ChangeStream.toDevice, ChangeStream.deviceLists, ChangeStream.keys];",
    replace: "const OF_DEVICES = [ChangeStream.toDevice];",
    test: CACHE,
  },
  {
    name: "the cache is dropped under a process that polls",
    file: "src/store/running-mark.ts",
    find: "if ((await db.query({ text: POLLING })).length === 0) return lock;",
    replace: "if ((await db.query({ text: POLLING })).length >= 0) return lock;",
    test: CACHE,
  },
  {
    name: "a poller from before the cache was dropped moves its device's stream on",
    file: "src/store/cache.ts",
    find: "epoch = epoch + 1,",
    replace: "epoch = epoch,",
    test: CACHE,
  },
];

const exporting: readonly Mutant[] = [
  {
    name: "an export is not of one moment",
    file: "src/store/ledger-export.ts",
    find: "{ snapshot: true },",
    replace: "{ snapshot: false },",
    test: "test/service/export-ledger.test.ts",
  },
];

const DRAIN = "test/service/drain.test.ts";

const draining: readonly Mutant[] = [
  {
    name: "a device is taken over while nothing more is to be taken",
    file: "src/store/devices.ts",
    find: "             AND NOT $",
    replace: "             AND 1 = 1 -- $",
    test: DRAIN,
  },
  {
    name: "pollers go on while nothing more is to be taken",
    file: "src/store/devices.ts",
    find: " OR $",
    replace: " AS is_idle -- $",
    test: DRAIN,
  },
  {
    name: "draining ends while a poller may still store messages",
    file: "src/cli/drain.ts",
    find: "polled === 0 && left.length === 0;",
    replace: "polled >= 0 && left.length === 0;",
    test: DRAIN,
  },
];

/** What must not happen to the data that exists nowhere else. */
export const mutants: readonly Mutant[] = [...rotation, ...rebuilding, ...exporting, ...draining];
