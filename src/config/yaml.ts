import { EVENT_ID, type Event, getScalarValue, load, parseEvents, YAMLException } from "js-yaml";
import type { ConfigNode, NodePath } from "./node.ts";
import { nodeOf } from "./node.ts";
import { problemLine } from "./problems.ts";

/** What one source of configuration brought, or the reasons why it cannot be used. */
export interface SourceContent {
  readonly node: ConfigNode;
  readonly problems: readonly string[];
}

/** Reads a file's YAML. Each part has `name:line` as its origin; a key that is written twice is a problem. */
export function readYaml(text: string, name: string): SourceContent {
  const nothing = nodeOf({}, name);
  try {
    const events = parseEvents(text, {});
    if (events.length === 0)
      return { node: nothing, problems: [`${name}: is empty; name another file or leave it out`] };
    // Keys that are written twice would end `load`; the walk below finds all of them and their lines.
    const walk = new Walk(text, events, name);
    const node = walk.document(load(text, { json: true }));
    return { node, problems: walk.problems };
  } catch (error) {
    return { node: nothing, problems: [yamlProblem(error, name)] };
  }
}

/** Reads one value, such as `8008` or `[client]`, all of whose parts come from the same place. */
export function readYamlValue(text: string, path: NodePath, origin: string): SourceContent {
  try {
    return { node: nodeOf(load(text), origin), problems: [] };
  } catch (error) {
    return {
      node: nodeOf(null, origin),
      problems: [problemLine(path, origin, `is not valid YAML: ${reasonOf(error)}`)],
    };
  }
}

/** Follows parser events and the loaded value side by side: only the events know positions, only the value is resolved. */
class Walk {
  readonly problems: string[] = [];
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #name: string;
  #next = 0;

  constructor(text: string, events: readonly Event[], name: string) {
    this.#text = text;
    this.#events = events;
    this.#name = name;
  }

  document(value: unknown): ConfigNode {
    this.#take();
    return this.#node(value, [], this.#name);
  }

  #node(value: unknown, path: NodePath, origin: string): ConfigNode {
    const event = this.#take();
    if (event?.type === EVENT_ID.MAPPING) return this.#map(value, path, origin);
    if (event?.type === EVENT_ID.SEQUENCE) return this.#list(value, path, origin);
    return nodeOf(value, origin);
  }

  #map(value: unknown, path: NodePath, origin: string): ConfigNode {
    const values = new Map(Object.entries(value ?? {}));
    const entries = new Map<string, ConfigNode>();
    for (let event = this.#take(); event !== undefined && event.type !== EVENT_ID.POP; event = this.#take()) {
      const name = event.type === EVENT_ID.SCALAR ? getScalarValue(this.#text, event) : "(not a word)";
      const keyOrigin = event.type === EVENT_ID.SCALAR ? this.#line(event.valueStart) : origin;
      const keyPath = [...path, name];
      if (entries.has(name)) this.problems.push(problemLine(keyPath, keyOrigin, "is set twice; keep one of them"));
      entries.set(name, this.#node(values.get(name), keyPath, keyOrigin));
    }
    return { kind: "map", entries, origin };
  }

  #list(value: unknown, path: NodePath, origin: string): ConfigNode {
    const values: readonly unknown[] = Array.isArray(value) ? value : [];
    const items: ConfigNode[] = [];
    for (let event = this.#peek(); event !== undefined && event.type !== EVENT_ID.POP; event = this.#peek()) {
      items.push(this.#node(values[items.length], [...path, items.length], this.#originOf(event, origin)));
    }
    this.#take();
    return { kind: "list", items, origin };
  }

  #originOf(event: Event, otherwise: string): string {
    if (event.type === EVENT_ID.SCALAR) return this.#line(event.valueStart);
    const hasStart = event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE;
    return hasStart ? this.#line(event.start) : otherwise;
  }

  #line(offset: number): string {
    return `${this.#name}:${this.#text.slice(0, Math.max(offset, 0)).split("\n").length}`;
  }

  #peek(): Event | undefined {
    return this.#events[this.#next];
  }

  #take(): Event | undefined {
    this.#next += 1;
    return this.#events[this.#next - 1];
  }
}

function yamlProblem(error: unknown, name: string): string {
  const line = error instanceof YAMLException && error.mark !== undefined ? `:${error.mark.line + 1}` : "";
  return `${name}${line}: is not valid YAML: ${reasonOf(error)}`;
}

/** The parser's reason without the snippet and without what it quotes: both could be a secret. */
function reasonOf(error: unknown): string {
  const reason = error instanceof YAMLException ? error.reason : "it cannot be read";
  return reason.replace(/[:\s]*(["<]|!<|tag name cannot).*$/s, "");
}
