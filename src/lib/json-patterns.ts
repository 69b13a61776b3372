import { invariant } from "./invariant.ts";

/** A path from the root; "*" stands for any key or any index. A literal names a key of an object, never an index. */
export type PathPattern = readonly string[];

/** What the patterns say of one place. Where "*" and a literal both lead on, the literal's node has both merged in. */
export interface PatternNode {
  /** The value pattern that ends here. Nothing is below it. */
  readonly value: number | undefined;
  /** The container patterns that end here, ascending. */
  readonly containers: readonly number[];
  readonly byKey: ReadonlyMap<string, PatternNode>;
  /** The node of every index, and of every key that is not in `byKey`. */
  readonly others: PatternNode | undefined;
}

interface Pattern {
  readonly isValue: boolean;
  readonly index: number;
  readonly path: PathPattern;
}

/**
 * The tree of all patterns, its root; made once for all bodies of a kind. No place may be a value twice, nor may anything match at or
 * below a value.
 */
export function compilePatterns(values: readonly PathPattern[], containers: readonly PathPattern[] = []): PatternNode {
  const patterns = [
    ...values.map((path, index) => ({ isValue: true, index, path })),
    ...containers.map((path, index) => ({ isValue: false, index, path })),
  ];
  return nodeOf(patterns, 0);
}

/** The node that all of `patterns` reach after `depth` steps. As deep as the longest pattern, so recursion is safe. */
function nodeOf(patterns: readonly Pattern[], depth: number): PatternNode {
  const ended = patterns.filter(({ path }) => path.length === depth);
  const value = ended.find(({ isValue }) => isValue);
  invariant(value === undefined || patterns.length === 1, `nothing may match at or below ${value?.path.join(".")}`);
  const isAny = ({ path }: Pattern): boolean => path[depth] === "*";
  const literals = new Set(patterns.flatMap(({ path }) => path[depth] ?? []).filter((step) => step !== "*"));
  const byKey = new Map(
    [...literals].map((literal) => {
      const matching = patterns.filter((pattern) => isAny(pattern) || pattern.path[depth] === literal);
      return [literal, nodeOf(matching, depth + 1)];
    }),
  );
  const any = patterns.filter(isAny);
  return {
    value: value?.index,
    containers: ended.filter(({ isValue }) => !isValue).map(({ index }) => index),
    byKey,
    others: any.length === 0 ? undefined : nodeOf(any, depth + 1),
  };
}
