import type { AuthedCall, Call, Reply } from "./reply.ts";

export type OpenAnswer = (call: Call) => Reply | Promise<Reply>;
export type AuthedAnswer = (call: AuthedCall) => Reply | Promise<Reply>;

export type Route = { readonly params: Readonly<Record<string, string>> } & (
  | { readonly needsToken: false; readonly answer: OpenAnswer }
  | { readonly needsToken: true; readonly answer: AuthedAnswer }
);

interface Pattern {
  readonly method: string;
  readonly source: RegExp;
  readonly found: (params: Record<string, string>) => Route;
}

/** Paths with `:name` for a part; `/client/` stands for every prefix under which Synapse serves it. */
export class Router {
  readonly #patterns: Pattern[] = [];

  open(method: string, path: string, answer: OpenAnswer): void {
    this.#add(method, path, (params) => ({ params, needsToken: false, answer }));
  }

  authed(method: string, path: string, answer: AuthedAnswer): void {
    this.#add(method, path, (params) => ({ params, needsToken: true, answer }));
  }

  find(method: string, path: string): Route | undefined {
    for (const pattern of this.#patterns) {
      if (pattern.method !== method) continue;
      const match = pattern.source.exec(path);
      if (match === null) continue;
      const params = Object.entries(match.groups ?? {}).map(([name, part]) => [name, decodeURIComponent(part)]);
      return pattern.found(Object.fromEntries(params));
    }
    return undefined;
  }

  #add(method: string, path: string, found: Pattern["found"]): void {
    const source = path
      .replaceAll(/\/:(\w+)/g, "/(?<$1>[^/]*)")
      .replace(/^\/client\//, "/_matrix/client/(?:api/v1|r0|v1|v3|unstable)/");
    this.#patterns.push({ method, source: new RegExp(`^${source}/?$`), found });
  }
}
