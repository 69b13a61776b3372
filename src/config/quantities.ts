const MS_PER_UNIT = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const BYTES_PER_UNIT = new Map([
  ["B", 1],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
]);

/** A whole number with a unit, such as `10s`, as milliseconds; `undefined` when it is not one. */
export function parseDuration(text: string): number | undefined {
  return parseQuantity(text, MS_PER_UNIT);
}

/** A whole number with a unit, such as `1MiB`, as bytes; `undefined` when it is not one. */
export function parseSize(text: string): number | undefined {
  return parseQuantity(text, BYTES_PER_UNIT);
}

/** Milliseconds in the largest unit that divides them: 120000 is `2m`. The inverse of {@link parseDuration}. */
export function formatDuration(ms: number): string {
  return formatQuantity(ms, MS_PER_UNIT, "ms");
}

/** Bytes in the largest unit that divides them: 1048576 is `1MiB`. The inverse of {@link parseSize}. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, BYTES_PER_UNIT, "B");
}

function parseQuantity(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const [, digits, unit] = /^(\d{1,15})([A-Za-z]+)$/.exec(text) ?? [];
  const factor = units.get(unit ?? "");
  if (digits === undefined || factor === undefined) return undefined;
  const value = Number(digits) * factor;
  return Number.isSafeInteger(value) ? value : undefined;
}

function formatQuantity(value: number, units: ReadonlyMap<string, number>, smallest: string): string {
  const [unit, factor] = [...units].findLast(([, each]) => value > 0 && value % each === 0) ?? [smallest, 1];
  return `${value / factor}${unit}`;
}
