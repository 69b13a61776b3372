import { AggregatorRegistry, type Registry } from "prom-client";

/** The metrics of one process as plain data, to be sent to the process that serves them. */
export type MetricsPart = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

/** One text for Prometheus from the parts of all processes: counts are added up, for a gauge its declaration decides. */
export function mergeMetrics(parts: readonly MetricsPart[]): Promise<string> {
  return AggregatorRegistry.aggregate([...parts]).metrics();
}
