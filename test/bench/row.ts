import type { BareName } from "./reference/reference.ts";

/** One measured number beside what it should be. */
export interface Figure {
  /** `p50`, `p99`, or what a single number is. */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** undefined: for information, nothing is promised. */
  readonly target: number | undefined;
  /** Whether a higher number is better: rates. Default: a lower one is. */
  readonly isRate?: boolean;
}

export interface Row {
  readonly key: string;
  readonly quantity: string;
  readonly figures: readonly Figure[];
  /** How it was measured and what else was seen, in one or two sentences. */
  readonly how: string;
  /** What the target was derived from, where that is measured too. */
  readonly bare?: readonly BareName[];
  /** The same of the other server. */
  readonly other?: readonly Figure[];
  /** For how much of the measurement something waited for a processor. */
  readonly pressure?: string;
}

/** How much worse than its target a figure may be in one run. Machines differ and have neighbours; an oversight costs more. */
const MISSED_FACTOR = 3;

/** 1: as promised; 2: half as good. undefined: nothing is promised. */
export function ratioOf({ value, target, isRate = false }: Figure): number | undefined {
  if (target === undefined) return undefined;
  return isRate ? target / value : value / target;
}

export type Verdict = "met" | "near" | "missed" | "info";

export function verdictOf(row: Row): Verdict {
  const ratios = row.figures.flatMap((figure) => ratioOf(figure) ?? []);
  if (ratios.length === 0) return "info";
  const worst = Math.max(...ratios);
  if (worst <= 1) return "met";
  return worst <= MISSED_FACTOR ? "near" : "missed";
}
