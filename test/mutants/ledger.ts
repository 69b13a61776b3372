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

/** What must not happen to the data that exists nowhere else. */
export const mutants: readonly Mutant[] = [...rotation];
