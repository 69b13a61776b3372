import { expect, test } from "@jest/globals";
import { helpText, parseArguments, type Role, UsageError } from "../../../src/config/flags.ts";

test("without arguments the service starts with its defaults", () => {
  expect(parseArguments([])).toEqual({ command: "start", files: [], role: "all", flags: {}, isEnd: false });
});

test("files keep their order and flags may stand anywhere", () => {
  const line = "-c a.yaml migrate --config b.yaml --homeserver https://x --port 0 --data-dir /d --role intake";
  expect(parseArguments(line.split(" "))).toEqual({
    command: "migrate",
    files: ["a.yaml", "b.yaml"],
    role: "intake" satisfies Role,
    flags: { homeserver: "https://x", port: 0, dataDir: "/d" },
    isEnd: false,
  });
});

test("an export goes to standard output or to a file", () => {
  expect(parseArguments(["export-ledger"])).toMatchObject({ command: "export-ledger", output: undefined });
  expect(parseArguments(["export-ledger", "--output", "a.jsonl"])).toMatchObject({ output: "a.jsonl" });
});

test("draining is begun or ended", () => {
  expect(parseArguments(["drain"])).toMatchObject({ command: "drain", isEnd: false });
  expect(parseArguments(["drain", "--end"])).toMatchObject({ command: "drain", isEnd: true });
});

test("help and version win over all else", () => {
  expect(parseArguments(["migrate", "--version"])).toEqual({ command: "version" });
  expect(parseArguments(["nonsense", "-h", "--version"])).toEqual({ command: "help" });
});

test.each([
  ["--prot 1", "Unknown option '--prot'"],
  ["--port", "Option '--port <value>' argument missing"],
  ["--port x", "--port expects a number from 0 to 65535, got x"],
  ["--port 65536", "--port expects a number from 0 to 65535, got 65536"],
  ["--help=1", "Option '-h, --help' does not take an argument"],
  [
    "strat",
    "unknown command strat; expected start, migrate, check-config, rebuild-cache, rotate-secret, export-ledger, drain",
  ],
  ["start migrate", "one command at a time: start migrate"],
  ["export-ledger --output", "Option '--output <value>' argument missing"],
  ["--end", "--end goes with drain only"],
  ["migrate --output ledger", "--output goes with export-ledger only"],
  ["--role writer", "unknown --role writer; expected all, client, intake"],
])("%p is wrong usage", (line, message) => {
  const parse = () => parseArguments(line.split(" "));
  expect(parse).toThrow(UsageError);
  expect(parse).toThrow(message);
  expect(parse).not.toThrow(`${message}.`);
});

test("the help text names every command and flag", () => {
  const words =
    "start migrate check-config rebuild-cache rotate-secret export-ledger drain --output --end --config --homeserver --port --data-dir --role --help --version";
  for (const word of words.split(" ")) expect(helpText()).toContain(word);
});
