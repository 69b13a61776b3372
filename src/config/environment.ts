import { configKeys } from "./keys.ts";
import { type ConfigNode, mergeNodes, nodeOf } from "./node.ts";
import { dotted, problemLine } from "./problems.ts";
import { readYamlValue, type SourceContent } from "./yaml.ts";

/** Shape of `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "SLIDECAR__";

/** The variable that sets a key: `homeserver.url` is `SLIDECAR__HOMESERVER__URL`. */
export function variableFor(path: string): string {
  return `${PREFIX}${path.toUpperCase().replaceAll(".", "__")}`;
}

/**
 * Reads the variables that begin with `SLIDECAR__`. The text is the value of a key that holds text, so that a secret
 * needs no quotes; for all other keys it is YAML, so that a list can be given as `[{port: 8008, resources: [client]}]`.
 */
export function readEnvironment(env: Environment): SourceContent {
  let node: ConfigNode = nodeOf({}, "");
  const problems: string[] = [];
  // In order of the names, so that a whole section comes before its keys, which then change it.
  for (const name of Object.keys(env).sort()) {
    const text = env[name];
    if (!name.startsWith(PREFIX) || text === undefined) continue;
    const path = name.slice(PREFIX.length).toLowerCase().split("__");
    const read = readVariable(name, path, text);
    problems.push(...read.problems);
    node = mergeNodes(node, nested(path, read.node));
  }
  return { node, problems };
}

function readVariable(name: string, path: readonly string[], text: string): SourceContent {
  const key = configKeys.find((each) => each.path === path.join("."));
  const inList = configKeys.find((each) => each.kind === "list" && `${dotted(path)}.`.startsWith(`${each.path}.`));
  if (inList !== undefined && inList !== key) {
    return problem(name, path, `a list is set as a whole: ${variableFor(inList.path)}='[{…}, {…}]'`);
  }
  if (text.trim() === "") return problem(name, path, "is set but empty; give it a value or unset it");
  if (key?.isText === true) return { node: nodeOf(text, name), problems: [] };
  return readYamlValue(text, path, name);
}

function problem(name: string, path: readonly string[], message: string): SourceContent {
  return { node: nodeOf(null, name), problems: [problemLine(path, name, message)] };
}

function nested(path: readonly string[], node: ConfigNode): ConfigNode {
  return path.reduceRight<ConfigNode>(
    (inner, name) => ({ kind: "map", entries: new Map([[name, inner]]), origin: inner.origin }),
    node,
  );
}
