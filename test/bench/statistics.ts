/** The value below which the share `q` of the values lies (nearest rank). Throws where there is none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  if (value === undefined) throw new Error("no value was measured");
  return value;
}

/**
 * The same at any moment: each value counts as long as it is, and as the pause after it, in which nothing was measured.
 */
export function quantileInTime(values: readonly number[], pause: number, q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const total = sorted.reduce((sum, value) => sum + value + pause, 0);
  let passed = 0;
  for (const value of sorted) {
    passed += value + pause;
    if (passed >= q * total) return value;
  }
  throw new Error("no value was measured");
}
