import { type Finding, isCode, lineAt, type Rule } from "./source.ts";
import { type Token, tokenize } from "./tokens.ts";

const LINES_AT_MOST: readonly (readonly [folder: string, lines: number])[] = [
  ["src/", 300],
  ["scripts/", 300],
  ["test/", 500],
];

/** No file of code is longer than its folder allows: beyond that, a second idea has moved in. */
export const lineLimits: Rule = (files) =>
  files.filter(isCode).flatMap(({ path, text }): Finding[] => {
    const limit = LINES_AT_MOST.find(([folder]) => path.startsWith(folder))?.[1];
    const lines = lineAt(text, text.length) - (text.endsWith("\n") ? 1 : 0);
    if (limit === undefined || lines <= limit) return [];
    return [{ path, line: 0, message: `${lines} lines; at most ${limit}` }];
  });

const SQL = /\b(?:SELECT|INSERT INTO|UPDATE \S+ SET|DELETE FROM)\b/;

/** Only src/store speaks SQL. */
export const sqlInStore: Rule = (files) =>
  files
    .filter(({ path }) => path.startsWith("src/") && !path.startsWith("src/store/"))
    .flatMap((file): Finding[] => {
      const { path, text } = file;
      if (path.endsWith(".sql")) return [{ path, line: 0, message: "SQL outside of src/store" }];
      return (isCode(file) ? tokenize(text) : [])
        .filter(({ kind, value }) => kind === "text" && SQL.test(value))
        .map(({ line }) => ({ path, line, message: "SQL outside of src/store" }));
    });

const FOREIGN_WORDS: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/\/work\//g, "a path of the machine that it was written on"],
  [/(?<![\w&#/])#\d{1,5}(?![\w:-])/g, "the number of an issue"],
  [/\bissues?[ /]#?\d+/gi, "the number of an issue"],
  [/\b(?:TODO|FIXME|XXX)\b/g, "a note of unfinished work"],
];

/** The project speaks of itself alone, not of where and how it was made. */
export const foreignWords: Rule = (files) =>
  files
    .filter(({ path }) => /^(?:src|docs|test|changelog\.d)\/|^[^/]+\.md$/.test(path))
    .flatMap(({ path, text }) =>
      FOREIGN_WORDS.flatMap(([pattern, reason]) =>
        [...text.matchAll(pattern)].map((match) => ({
          path,
          line: lineAt(text, match.index),
          message: `"${match[0]}" is ${reason}`,
        })),
      ),
    );

/** Words of waiting and of the outside, by the folders that must not know them. `model` may describe ports that wait. */
const IMPURE_WORDS = new Set(["async", "await", "process", "console", "setTimeout", "setInterval", "setImmediate"]);
const IMPURE_CALLS = new Set(["Date.now", "Math.random", "performance.now"]);

/** The engine and the model compute: they neither wait nor look at the clock. Nobody ends the process by force. */
export const purity: Rule = (files) =>
  files
    .filter((file) => file.path.startsWith("src/") && isCode(file))
    .flatMap(({ path, text }) => {
      const tokens = tokenize(text);
      const isPure = /^src\/(?:engine|model)\//.test(path);
      return tokens.flatMap((token, index): Finding[] => {
        const word = isPure ? impureWord(tokens, index) : forcedExit(tokens, index);
        return word === undefined ? [] : [{ path, line: token.line, message: `${word} does not belong here` }];
      });
    });

function impureWord(tokens: readonly Token[], index: number): string | undefined {
  const [before, token, after, last, end] = [-1, 0, 1, 2, 3].map((offset) => tokens[index + offset]);
  if (token?.kind !== "name" || before?.value === "." || after?.value === ":") return undefined;
  if (IMPURE_WORDS.has(token.value)) return token.value;
  const call = `${token.value}${after?.value}${last?.value}`;
  if (IMPURE_CALLS.has(call)) return call;
  const isNow = token.value === "new" && after?.value === "Date" && last?.value === "(" && end?.value === ")";
  return isNow ? "new Date()" : undefined;
}

function forcedExit(tokens: readonly Token[], index: number): string | undefined {
  const call = [0, 1, 2].map((offset) => tokens[index + offset]?.value).join("");
  return call === "process.exit" ? call : undefined;
}
