// Differences between what should be and what is, told in one line each.

/** One line when something is not as it should be. */
export function unequal(what: string, wanted: unknown, found: unknown): string[] {
  if (isSame(wanted, found)) return [];
  if (!Array.isArray(wanted) || !Array.isArray(found)) return [`${what}: ${show(wanted)} is ${show(found)}`];
  const at = Math.max(
    wanted.findIndex((item, index) => !isSame(item, found[index])),
    0,
  );
  const part = (items: readonly unknown[]) =>
    `${items.length} with ${show(items.slice(at, at + SHOWN_ITEMS))} at ${at}`;
  return [`${what}: ${part(wanted)} are ${part(found)}`];
}

/** As JSON, for which it does not matter who made an object. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const SHOWN_ITEMS = 3;
const SHOWN_CHARACTERS = 400;
const show = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, SHOWN_CHARACTERS);
