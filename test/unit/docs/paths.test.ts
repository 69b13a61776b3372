import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "@jest/globals";

const documents = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "docs/loss-ledger.md",
  ...readdirSync("docs/concepts").map((name) => `docs/concepts/${name}`),
];

/** Paths in code spans that begin with a folder or script of the repository. */
const pathsIn = (text: string): string[] =>
  [...text.matchAll(/`((?:src|test|scripts|docs|helm|grafana|\.ci)\/[^`\s]*)`/g)].map((match) => match[1] ?? "");

/** Targets of links to files. */
const linksIn = (text: string): string[] =>
  [...text.matchAll(/\]\((?!https?:)([^)#\s]+)/g)].map((match) => match[1] ?? "");

test.each(documents)("every path that %s names exists", (document) => {
  const text = readFileSync(document, "utf8");
  const missing = [
    ...pathsIn(text).filter((path) => !existsSync(path)),
    ...linksIn(text).filter((path) => !existsSync(join(dirname(document), path))),
  ];
  expect(missing).toEqual([]);
});

test("the architecture names at least the files of one event and one request", () => {
  expect(
    pathsIn(readFileSync("ARCHITECTURE.md", "utf8")).filter((path) => path.endsWith(".ts")).length,
  ).toBeGreaterThan(25);
});

test("every npm script that a document names exists", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
  const named = documents.flatMap((document) =>
    [...readFileSync(document, "utf8").matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] ?? ""),
  );
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});
