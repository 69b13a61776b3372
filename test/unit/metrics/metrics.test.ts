import { expect, test } from "@jest/globals";
import { Registry } from "prom-client";
import { type MetricsPart, mergeMetrics } from "../../../src/metrics/merge.ts";
import { createMetrics } from "../../../src/metrics/metrics.ts";

function start() {
  const registry = new Registry();
  return { registry, metrics: createMetrics(registry) };
}

test("every metric begins with slidecar_, ends with its unit where it has one, and has a help text", async () => {
  const { registry } = start();
  const all = await registry.getMetricsAsJSON();
  for (const { name, type, help } of all) {
    expect(name).toMatch(/^slidecar_[a-z_]+$/);
    expect(help).toMatch(/\.$/);
    if (String(type) === "counter") expect(name).toMatch(/_total$/);
    if (String(type) === "histogram") expect(name).toMatch(/_seconds$/);
  }
  expect(all.length).toBeGreaterThan(12);
});

test("every series is there before the first event", async () => {
  const { registry } = start();
  const text = await registry.metrics();
  expect(text).toContain('slidecar_sync_requests_total{dialect="v4",outcome="unknown_pos"} 0\n');
  expect(text).toContain('slidecar_sync_compute_seconds_count{dialect="msc3575",kind="delta"} 0\n');
  expect(text).toContain("slidecar_upstream_to_answer_seconds_count 0\n");
});

test("metrics count, with and without labels and amounts", async () => {
  const { registry, metrics } = start();
  metrics.polls.inc({ outcome: "news" });
  metrics.eventsStored.inc({ kind: "timeline" }, 20);
  metrics.intakeRestarts.inc();
  metrics.pollBytes.inc(512);
  metrics.pollers.set(3);
  metrics.pollers.add(-1);
  metrics.syncComputeSeconds.observe({ dialect: "v4", kind: "delta" }, 0.004);
  metrics.positionLockSeconds.observe(0.0001);
  const text = await registry.metrics();
  for (const line of [
    'slidecar_polls_total{outcome="news"} 1',
    'slidecar_events_stored_total{kind="timeline"} 20',
    "slidecar_intake_restarts_total 1",
    "slidecar_poll_bytes_total 512",
    "slidecar_pollers 2",
    'slidecar_sync_compute_seconds_bucket{le="0.005",dialect="v4",kind="delta"} 1',
    "slidecar_position_lock_seconds_count 1",
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});

test("the metrics of two processes become one text, in which counts are added and the position is the higher one", async () => {
  const [serving, intake] = [start(), start()];
  serving.metrics.syncRequests.inc({ dialect: "v4", outcome: "news" }, 2);
  serving.metrics.streamPosition.set(7);
  serving.metrics.storeTransactionSeconds.observe({ kind: "live" }, 0.003);
  intake.metrics.streamPosition.set(9);
  intake.metrics.storeTransactionSeconds.observe({ kind: "live" }, 0.004);
  intake.metrics.pollers.set(5);
  const parts = [await serving.registry.getMetricsAsJSON(), await intake.registry.getMetricsAsJSON()];
  // Between processes the parts travel as JSON.
  const received: MetricsPart[] = JSON.parse(JSON.stringify(parts));
  const text = await mergeMetrics(received);
  for (const line of [
    'slidecar_sync_requests_total{dialect="v4",outcome="news"} 2',
    "slidecar_stream_position 9",
    'slidecar_store_transaction_seconds_bucket{le="0.005",kind="live"} 2',
    'slidecar_store_transaction_seconds_bucket{le="+Inf",kind="live"} 2',
    'slidecar_store_transaction_seconds_count{kind="live"} 2',
    "slidecar_pollers 5",
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(text.match(/^# TYPE slidecar_pollers /gm)).toHaveLength(1);
});

test("one process alone gives the same text merged and not", async () => {
  const { registry, metrics } = start();
  metrics.pollSeconds.observe(31);
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  expect(lines(await mergeMetrics([await registry.getMetricsAsJSON()])).sort()).toEqual(
    lines(await registry.metrics()).sort(),
  );
});
