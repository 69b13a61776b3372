import { posix } from "node:path";
import { isCode, type SourceFile } from "./source.ts";
import { type Token, tokenize } from "./tokens.ts";

export interface Import {
  /** As written, for example `../lib/invariant.ts` or `node:fs`. */
  readonly specifier: string;
  /** The file that a relative specifier means, from the root of the project; `undefined` for a package. */
  readonly target: string | undefined;
  /** `import type`, which is gone when the program runs. An inline `type` leaves the import itself in place. */
  readonly isTypeOnly: boolean;
  /** Written as `export … from`. */
  readonly isReexport: boolean;
  /** Names that become known in this file. */
  readonly names: readonly string[];
  readonly line: number;
}

export interface Export {
  readonly name: string;
  readonly line: number;
}

/** What one file of code brings in and gives out. */
export interface Module {
  readonly path: string;
  readonly tokens: readonly Token[];
  readonly imports: readonly Import[];
  readonly exports: readonly Export[];
}

const DECLARATIONS = new Set(["const", "let", "var", "function", "class", "interface", "type", "enum", "namespace"]);
const MODIFIERS = new Set(["async", "abstract", "declare", "*"]);

/** Reads the code among the files; all else is left out. */
export function readModules(files: readonly SourceFile[]): Module[] {
  return files.filter(isCode).map(({ path, text }) => {
    const tokens = tokenize(text);
    const statements = tokens.flatMap((token, index) => statementAt(path, tokens, token, index));
    return {
      path,
      tokens,
      imports: statements.flatMap((statement) => statement.imports ?? []),
      exports: statements.flatMap((statement) => statement.exports ?? []),
    };
  });
}

interface Statement {
  readonly imports?: readonly Import[];
  readonly exports?: readonly Export[];
}

function statementAt(path: string, tokens: readonly Token[], token: Token, index: number): Statement[] {
  const isProperty = tokens[index - 1]?.value === "." || tokens[index + 1]?.value === ":";
  if (token.kind !== "name" || isProperty) return [];
  const rest = tokens.slice(index + 1, index + 1 + MAX_STATEMENT_TOKENS);
  if (token.value === "import") return importStatement(path, rest, token.line);
  if (token.value === "export") return exportStatement(path, rest, token.line);
  return [];
}

/** Longest import or export list that is read. */
const MAX_STATEMENT_TOKENS = 400;

function importStatement(path: string, rest: readonly Token[], line: number): Statement[] {
  const [first, second] = rest;
  const isBare = first?.kind === "text";
  const isDynamic = first?.value === "(" && second?.kind === "text";
  if (isBare || isDynamic) {
    const specifier = (isBare ? first.value : second?.value) ?? "";
    return [{ imports: [importOf(path, { specifier, line, names: [], isTypeOnly: false, isReexport: false })] }];
  }
  if (first?.value === "." || first?.value === "(") return [];
  const from = fromClause(rest);
  if (from === undefined) return [];
  const isTypeOnly = first?.value === "type" && second?.value !== "from" && second?.value !== ",";
  const names = localNames(rest.slice(isTypeOnly ? 1 : 0, from.index));
  return [{ imports: [importOf(path, { specifier: from.specifier, line, names, isTypeOnly, isReexport: false })] }];
}

function exportStatement(path: string, rest: readonly Token[], line: number): Statement[] {
  const isTypeOnly = rest[0]?.value === "type" && (rest[1]?.value === "{" || rest[1]?.value === "*");
  const list = isTypeOnly ? rest.slice(1) : rest;
  const opening = list[0]?.value;
  if (opening === "{" || opening === "*") return exportList(path, list, { line, isTypeOnly });
  if (opening === "default") return [{ exports: [{ name: "default", line }] }];
  const start = rest.findIndex((token) => !MODIFIERS.has(token.value));
  if (!DECLARATIONS.has(rest[start]?.value ?? "")) return [];
  const name = rest.slice(start + 1).find((token) => !MODIFIERS.has(token.value));
  return name?.kind === "name" ? [{ exports: [{ name: name.value, line }] }] : [];
}

function exportList(
  path: string,
  list: readonly Token[],
  { line, isTypeOnly }: Pick<Import, "line" | "isTypeOnly">,
): Statement[] {
  const closing = list.findIndex((token) => token.value === "}");
  const end = list[0]?.value === "*" ? 0 : closing;
  const from = fromClause(list.slice(end, end + 5));
  const exports = localNames(list.slice(0, Math.max(closing, 0))).map((name) => ({ name, line }));
  if (from === undefined) return [{ exports }];
  const reexport = importOf(path, { specifier: from.specifier, line, names: [], isTypeOnly, isReexport: true });
  return [{ imports: [reexport], exports }];
}

/** `from "x"`, at the latest before the statement's end. */
function fromClause(rest: readonly Token[]): { readonly specifier: string; readonly index: number } | undefined {
  const end = rest.findIndex((token) => token.value === ";");
  const within = end === -1 ? rest : rest.slice(0, end);
  const index = within.findIndex((token, at) => token.value === "from" && within[at + 1]?.kind === "text");
  return index === -1 ? undefined : { specifier: within[index + 1]?.value ?? "", index };
}

/** The names that an import or export list makes: the one after `as`, where there is one. */
function localNames(tokens: readonly Token[]): string[] {
  return tokens
    .filter((token, index) => {
      const next = tokens[index + 1];
      const isModifier = token.value === "type" && next?.kind === "name" && next.value !== "as";
      return token.kind === "name" && token.value !== "as" && next?.value !== "as" && !isModifier;
    })
    .map((token) => token.value);
}

function importOf(path: string, parts: Omit<Import, "target">): Import {
  const isRelative = parts.specifier.startsWith(".");
  return { ...parts, target: isRelative ? posix.join(posix.dirname(path), parts.specifier) : undefined };
}
