// Where two lives differ, and which of these differences are allowed.
import { normalise } from "./normalise.ts";
import type { Life } from "./room-life.ts";

export type Difference = {
  /** Point, call, then the keys that lead to the value, joined by ` > `. */
  readonly where: string;
  readonly left: unknown;
  readonly right: unknown;
};

export type Allowance = {
  readonly where: RegExp;
  /** Why the difference is right, or does no harm. */
  readonly reason: string;
};

export type Verdict = {
  readonly forbidden: readonly Difference[];
  /** Allowances that no difference needed. */
  readonly unused: readonly Allowance[];
};

/** Every difference between the normalised answers of two lives of the same script. */
export function differences(left: Life, right: Life): Difference[] {
  const [mine, theirs] = [bySnapshot(left), bySnapshot(right)];
  return compare(mine, theirs, []);
}

export function judge(found: readonly Difference[], allowances: readonly Allowance[]): Verdict {
  const used = new Set<Allowance>();
  const forbidden = found.filter((difference) => {
    const allowance = allowances.find(({ where }) => where.test(difference.where));
    if (allowance !== undefined) used.add(allowance);
    return allowance === undefined;
  });
  return { forbidden, unused: allowances.filter((allowance) => !used.has(allowance)) };
}

function bySnapshot(life: Life): Record<string, unknown> {
  const entries = life.snapshots.map(({ at, call, answer }) => [`${at}: ${call}`, normalise(answer, life.names)]);
  return Object.fromEntries(entries);
}

const MISSING = "<missing>";

function compare(left: unknown, right: unknown, path: readonly string[]): Difference[] {
  if (isRecord(left) && isRecord(right)) {
    const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
    return [...keys].flatMap((key) => compare(valueAt(left, key), valueAt(right, key), [...path, key]));
  }
  if (Array.isArray(left) && Array.isArray(right) && left.length === right.length) {
    return left.flatMap((value, i) => compare(value, right[i], [...path, String(i)]));
  }
  if (left === right) return [];
  return [{ where: path.join(" > "), left, right }];
}

const valueAt = (record: Record<string, unknown>, key: string): unknown => (key in record ? record[key] : MISSING);

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
