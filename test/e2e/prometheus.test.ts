import { expect, test } from "@jest/globals";
import { parseMetrics } from "./support/prometheus.ts";

const TEXT = `# HELP polls Polls by outcome.
# TYPE polls counter
polls{outcome="news",note="a \\"quoted\\" word"} 3
polls{outcome="empty"} 4.5
# TYPE wait histogram
wait_bucket{le="0.01",kind="a"} 8
wait_bucket{le="0.05",kind="a"} 9
wait_bucket{le="+Inf",kind="a"} 10
wait_sum{kind="a"} 1.5
wait_count{kind="a"} 10
wait_bucket{le="0.01",kind="b"} 0
wait_bucket{le="0.05",kind="b"} 10
wait_bucket{le="+Inf",kind="b"} 10
wait_count{kind="b"} 10
`;

test("values are summed over the label sets that fit", () => {
  const metrics = parseMetrics(TEXT);
  expect(metrics.value("polls")).toBe(7.5);
  expect(metrics.value("polls", { outcome: "news" })).toBe(3);
  expect(metrics.samples[0]?.labels).toEqual({ outcome: "news", note: 'a "quoted" word' });
  expect(metrics.value("polls", { outcome: "failed" })).toBe(0);
  expect(metrics.count("wait")).toBe(20);
});

test("a quantile bound is the first bucket that holds the share, over all label sets", () => {
  const metrics = parseMetrics(TEXT);
  expect(metrics.quantileBound("wait", 0.4)).toBe(0.01);
  expect(metrics.quantileBound("wait", 0.41)).toBe(0.05);
  expect(metrics.quantileBound("wait", 0.95)).toBe(0.05);
  expect(metrics.quantileBound("wait", 0.96)).toBe(Number.POSITIVE_INFINITY);
  expect(metrics.quantileBound("wait", 0.8, { kind: "a" })).toBe(0.01);
});

test("a histogram without observations has no quantile", () => {
  expect(() => parseMetrics(TEXT).quantileBound("nothing", 0.5)).toThrow("no observation");
});
