/**
 * Configuration as it was written, each part with its origin: `config.yaml:3`, the name of an environment variable, a
 * flag, or `""` for a default.
 */
export type ConfigNode =
  | { readonly kind: "map"; readonly entries: ReadonlyMap<string, ConfigNode>; readonly origin: string }
  | { readonly kind: "list"; readonly items: readonly ConfigNode[]; readonly origin: string }
  | { readonly kind: "value"; readonly value: unknown; readonly origin: string };

export type NodePath = readonly (string | number)[];

/** A plain value as a node whose parts all have the same origin. */
export function nodeOf(value: unknown, origin: string): ConfigNode {
  if (Array.isArray(value)) return { kind: "list", items: value.map((item) => nodeOf(item, origin)), origin };
  if (typeof value !== "object" || value === null) return { kind: "value", value, origin };
  const entries = Object.entries(value).map(([name, inner]) => [name, nodeOf(inner, origin)] as const);
  return { kind: "map", entries: new Map(entries), origin };
}

/** The inverse of {@link nodeOf}, without the origins. */
export function plainOf(node: ConfigNode): unknown {
  switch (node.kind) {
    case "map":
      return Object.fromEntries([...node.entries].map(([name, inner]) => [name, plainOf(inner)]));
    case "list":
      return node.items.map(plainOf);
    case "value":
      return node.value;
  }
}

/**
 * Lays one configuration over another: maps are merged, all else is replaced. A map without content (a section whose
 * keys are all commented out) changes nothing.
 */
export function mergeNodes(under: ConfigNode, over: ConfigNode): ConfigNode {
  if (under.kind !== "map") return over;
  if (over.kind === "value" && over.value === null) return under;
  if (over.kind !== "map") return over;
  const entries = new Map(under.entries);
  for (const [name, inner] of over.entries) {
    const below = entries.get(name);
    entries.set(name, below === undefined ? inner : mergeNodes(below, inner));
  }
  return { kind: "map", entries, origin: over.origin };
}

/** The node at a path, or `undefined` when nothing was written there. */
export function nodeAt(node: ConfigNode, path: NodePath): ConfigNode | undefined {
  const [first, ...rest] = path;
  if (first === undefined) return node;
  const inner = childOf(node, first);
  return inner === undefined ? undefined : nodeAt(inner, rest);
}

/** Where a path was written; where its nearest written parent was, when it was not; `""` when that is a default. */
export function originOf(node: ConfigNode, path: NodePath): string {
  const [first, ...rest] = path;
  const inner = first === undefined ? undefined : childOf(node, first);
  return inner === undefined ? node.origin : originOf(inner, rest);
}

/** A copy with another node at the path; `undefined` takes the node away. The path's parents must be written. */
export function withNode(node: ConfigNode, path: NodePath, replacement: ConfigNode | undefined): ConfigNode {
  const [first, ...rest] = path;
  if (first === undefined) return replacement ?? node;
  const inner = childOf(node, first);
  const changed = rest.length === 0 ? replacement : inner && withNode(inner, rest, replacement);
  if (node.kind === "list" && changed !== undefined) {
    return { ...node, items: node.items.map((item, index) => (index === first ? changed : item)) };
  }
  if (node.kind !== "map") return node;
  const entries = new Map(node.entries);
  if (changed === undefined) entries.delete(String(first));
  else entries.set(String(first), changed);
  return { ...node, entries };
}

function childOf(node: ConfigNode, key: string | number): ConfigNode | undefined {
  if (node.kind === "map") return node.entries.get(String(key));
  return node.kind === "list" && typeof key === "number" ? node.items[key] : undefined;
}
