import type { z } from "zod";
import { variableFor } from "./environment.ts";
import { configKeys } from "./keys.ts";
import { type ConfigNode, type NodePath, nodeAt, originOf, plainOf } from "./node.ts";
import { dotted, problemLine, shownValue, suggestion } from "./problems.ts";
import { configSchema, type ParsedConfig } from "./schema.ts";

type Validation =
  | { readonly isValid: true; readonly parsed: ParsedConfig }
  | { readonly isValid: false; readonly problems: readonly string[] };

/** Holds the merged configuration against the schema and against the rules that span several keys. */
export function validate(root: ConfigNode): Validation {
  const result = configSchema.safeParse(plainOf(root));
  const problems = [
    ...(result.success
      ? sharedAddresses(root, result.data)
      : result.error.issues.flatMap((issue) => describe(root, issue))),
    ...missingSecret(root),
  ];
  return result.success && problems.length === 0
    ? { isValid: true, parsed: result.data }
    : { isValid: false, problems };
}

function describe(root: ConfigNode, issue: z.core.$ZodIssue): string[] {
  const path = issue.path.filter((part) => typeof part !== "symbol");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((name) => {
      const unknown = [...path, name];
      return problemLine(unknown, originOf(root, unknown), `unknown key${suggestion(unknown)}`);
    });
  }
  const node = nodeAt(root, path);
  if (node === undefined) return [missing(root, path, issue.message)];
  const isAboutContent = node.kind !== "value" && issue.code !== "invalid_type";
  const got = isAboutContent ? "" : `, got ${shownValue(root, path)}`;
  return [problemLine(path, node.origin, `${issue.message}${got}`)];
}

function missing(root: ConfigNode, path: NodePath, expectation: string): string {
  const parent = originOf(root, path);
  if (path.some((part) => typeof part === "number")) return problemLine(path, parent, `is missing; ${expectation}`);
  const flag = dotted(path) === "homeserver.url" ? " or with --homeserver" : "";
  return problemLine(path, "", `is not set; set it in a file, as ${variableFor(dotted(path))}${flag}`);
}

/** Tokens of the users in a database that others can reach must be encrypted with a key that is not stored beside them. */
function missingSecret(root: ConfigNode): string[] {
  const url = nodeAt(root, ["database", "url"]);
  if (url === undefined || nodeAt(root, ["secret"]) !== undefined) return [];
  const mend = `is not set but needed with database.url (${url.origin}); set it, or secret_file`;
  return [problemLine(["secret"], "", `${mend}, in a file or as ${variableFor("secret")}`)];
}

function sharedAddresses(root: ConfigNode, { listeners }: ParsedConfig): string[] {
  const seen = new Map<string, number>();
  return listeners.flatMap((listener, index) => {
    const address = listener.socket ?? `${listener.bind ?? "127.0.0.1"}:${listener.port}`;
    const first = seen.get(address);
    seen.set(address, first ?? index);
    if (first === undefined || listener.port === 0) return [];
    const path = ["listeners", index, listener.socket === undefined ? "port" : "socket"];
    return [problemLine(path, originOf(root, path), `listeners.${first} has the same address; give it another`)];
  });
}

/** The keys that may be given as a file: the key and its twin, as paths. */
export const fileTwins = configKeys
  .filter((key) => key.documentation.isSecret === true)
  .map((key) => ({ path: key.path.split("."), twin: `${key.path}_file`.split("."), isList: key.kind === "list" }));
