import { type Module, readModules } from "./imports.ts";
import type { Finding, Rule } from "./source.ts";

/** No file of src or test imports itself by way of others, be it for types only. */
export const cycles: Rule = (files) => {
  const modules = readModules(files).filter(({ path }) => /^(?:src|test)\//.test(path));
  const graph = new Map(modules.map((module) => [module.path, targetsOf(module)]));
  const reported = new Set<string>();
  return modules.flatMap(({ path }): Finding[] => {
    const cycle = reported.has(path) ? undefined : cycleThrough(path, graph);
    if (cycle === undefined) return [];
    for (const member of cycle) reported.add(member);
    return [{ path, line: 0, message: `import cycle: ${[...cycle, path].join(" → ")}` }];
  });
};

function targetsOf({ imports }: Module): string[] {
  return imports.flatMap(({ target }) => (target === undefined ? [] : [target]));
}

/** The files of a shortest cycle through `start`, in the order of their imports. */
function cycleThrough(start: string, graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const importerOf = new Map<string, string>();
  const queue = [start];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const target of graph.get(path) ?? []) {
      if (target === start) return trail(path, importerOf);
      if (importerOf.has(target)) continue;
      importerOf.set(target, path);
      queue.push(target);
    }
  }
  return undefined;
}

function trail(end: string, importerOf: ReadonlyMap<string, string>): string[] {
  const importer = importerOf.get(end);
  return importer === undefined ? [end] : [...trail(importer, importerOf), end];
}
