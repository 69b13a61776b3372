import { readModules } from "./imports.ts";
import type { Finding, Rule } from "./source.ts";

/** No file stands for a folder and none hands on what another made: an import names the file that it needs. */
export const barrels: Rule = (files) =>
  readModules(files).flatMap(({ path, imports, exports }): Finding[] => {
    const imported = new Set(imports.flatMap(({ names }) => names));
    return [
      ...(/(?:^|\/)index\.\w+$/.test(path)
        ? [{ path, line: 0, message: "a file named index; name it for its export" }]
        : []),
      ...imports
        .filter(({ isReexport }) => isReexport)
        .map(({ specifier, line }) => ({ path, line, message: `exports what ${specifier} made` })),
      ...exports
        .filter(({ name }) => imported.has(name))
        .map(({ name, line }) => ({ path, line, message: `exports ${name}, which it imports` })),
    ];
  });

/** Every relative import means a file that is there, with its extension. */
export const resolution: Rule = (files) => {
  const paths = new Set(files.map(({ path }) => path));
  return readModules(files).flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => target !== undefined && !paths.has(target))
      .map(({ specifier, line }) => ({ path, line, message: `there is no file ${specifier}` })),
  );
};

/**
 * What src exports is used by another file of src, test or scripts. The name alone decides. A type may instead be used in its
 * own file: it is part of what another export takes or gives.
 */
export const unusedExports: Rule = (files) => {
  const users = new Map<string, Set<string>>();
  const modules = readModules(files);
  for (const { path, tokens } of modules) {
    for (const { kind, value } of tokens) {
      if (kind === "name") users.set(value, (users.get(value) ?? new Set<string>()).add(path));
    }
  }
  return modules
    .filter(({ path }) => path.startsWith("src/"))
    .flatMap(({ path, exports, tokens }) =>
      exports
        .filter(({ name }) => (users.get(name)?.size ?? 0) < 2 && !isTypeUsedWithin(name, tokens))
        .map(({ name, line }) => ({ path, line, message: `nobody else uses the exported ${name}` })),
    );
};

/** Types begin with a capital letter and have a small one; constants have none. */
const isTypeUsedWithin = (name: string, tokens: readonly { readonly value: string }[]): boolean =>
  /^[A-Z]\w*[a-z]/.test(name) && tokens.filter(({ value }) => value === name).length > 1;
