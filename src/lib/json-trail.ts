import { invariant } from "./invariant.ts";
import type { PatternNode } from "./json-patterns.ts";

/** The open containers that patterns lead through, from the root on, and the place of the value at hand in the last one. */
export class JsonTrail {
  readonly #root: PatternNode;
  readonly #nodes: PatternNode[] = [];
  /** For each node the key or index of the value at hand in it. A number while the container is an array. */
  readonly #path: (string | number)[] = [];

  constructor(root: PatternNode) {
    this.#root = root;
  }

  get depth(): number {
    return this.#nodes.length;
  }

  /** The next value is the member `key` of the last container, an object. */
  toKey(key: string): void {
    this.#path[this.#path.length - 1] = key;
  }

  /** Called once as each value begins: what the patterns say of it. In an array this steps to the next index. */
  toValue(): PatternNode | undefined {
    const last = this.#path.length - 1;
    const at = this.#path[last];
    if (at === undefined) return this.#root;
    const node = this.#nodes[last];
    if (typeof at === "string") return node?.byKey.get(at) ?? node?.others;
    this.#path[last] = at + 1;
    return node?.others;
  }

  /** The value at hand is a container, and `node` is its node. */
  enter(node: PatternNode, kind: "object" | "array"): void {
    this.#nodes.push(node);
    this.#path.push(kind === "object" ? "" : -1);
  }

  /** The last container closed: it is the value at hand again. */
  leave(): PatternNode {
    this.#path.pop();
    const node = this.#nodes.pop();
    invariant(node !== undefined, "a container is left once");
    return node;
  }

  /** Path of the value at hand, for the caller to keep. */
  path(): (string | number)[] {
    return this.#path.slice();
  }
}
