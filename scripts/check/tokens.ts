/** A piece of TypeScript. Comments and white space make none. */
export interface Token {
  /** `name`: an identifier or keyword; `text`: a string or the fixed parts of a template; `sign`: all else. */
  readonly kind: "name" | "text" | "sign";
  /** Of a string its content, without resolving escapes; of a template its fixed parts with `x` for each expression. */
  readonly value: string;
  readonly line: number;
}

/** After these, a slash begins a regular expression; after another name or a closing bracket it divides. */
const BEFORE_REGEX = new Set(
  "return typeof case in of delete void throw new do else instanceof await yield default extends".split(" "),
);

const BLANK = /[ \t\r\n]+/y;
const LINE_COMMENT = /\/\/[^\n]*|#![^\n]*/y;
const BLOCK_COMMENT = /\/\*.*?\*\//sy;
const NAME = /[A-Za-z_$#][\w$]*/y;
const NUMBER = /\.?\d[\w.]*/y;
const STRING = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/sy;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const TEMPLATE_PART = /(?:\\.|\$(?!\{)|[^\\`$])*/sy;

/**
 * Splits TypeScript into tokens. It knows strings, templates, comments and regular expressions, and nothing of grammar;
 * a regular expression right after `)` or `}` is taken for a division.
 */
export function tokenize(text: string): Token[] {
  return new Scanner(text).code(false);
}

class Scanner {
  readonly #text: string;
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  /** Tokens up to the end, or up to the brace that closes a template's expression. */
  code(isInTemplate: boolean): Token[] {
    const tokens: Token[] = [];
    let depth = 0;
    while (this.#at < this.#text.length) {
      if (this.#take(BLANK) !== "" || this.#take(LINE_COMMENT) !== "" || this.#take(BLOCK_COMMENT) !== "") continue;
      const next = this.#text[this.#at];
      if (next === "{") depth += 1;
      if (next === "}") depth -= 1;
      if (isInTemplate && depth < 0) break;
      tokens.push(...this.#token(tokens.at(-1)));
    }
    return tokens;
  }

  #token(before: Token | undefined): Token[] {
    const line = this.#line;
    const name = this.#take(NAME);
    if (name !== "") return [{ kind: "name", value: name, line }];
    const string = this.#take(STRING);
    if (string !== "") return [{ kind: "text", value: string.slice(1, -1), line }];
    if (this.#text[this.#at] === "`") return this.#template();
    const sign = this.#take(NUMBER) || (beginsRegex(before) ? this.#take(REGEX) : "") || this.#takeOne();
    return [{ kind: "sign", value: sign, line }];
  }

  #template(): Token[] {
    const line = this.#line;
    const inside: Token[] = [];
    let value = "";
    this.#takeOne();
    for (;;) {
      value += this.#take(TEMPLATE_PART);
      if (this.#text[this.#at] !== "$") break;
      this.#takeOne();
      this.#takeOne();
      inside.push(...this.code(true));
      this.#takeOne();
      value += "x";
    }
    this.#takeOne();
    return [{ kind: "text", value, line }, ...inside];
  }

  /** What the pattern matches here, or nothing; moves on behind it. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    this.#line += found.split("\n").length - 1;
    return found;
  }

  #takeOne(): string {
    const one = this.#text[this.#at] ?? "";
    this.#at += 1;
    if (one === "\n") this.#line += 1;
    return one;
  }
}

function beginsRegex(before: Token | undefined): boolean {
  if (before === undefined) return true;
  if (before.kind === "name") return BEFORE_REGEX.has(before.value);
  return before.kind === "sign" && !/^(?:[)\]}]|\.?\d.*|\/.+)$/.test(before.value);
}
