// Reads the Prometheus text format, as far as counters, gauges and histograms go.

export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

export type Metrics = {
  readonly samples: readonly Sample[];
  /** Sum of a counter or gauge over all its label sets, or over those that carry `labels`; 0 when there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
  /** Observations of a histogram. */
  count(histogram: string, labels?: Readonly<Record<string, string>>): number;
  /** The smallest bucket bound below which at least `q` of the observations lie; never lower than the true quantile. */
  quantileBound(histogram: string, q: number, labels?: Readonly<Record<string, string>>): number;
};

export function parseMetrics(text: string): Metrics {
  const samples = text.split("\n").flatMap(parseLine);
  const matching = (name: string, labels: Readonly<Record<string, string>>) =>
    samples.filter((s) => s.name === name && Object.entries(labels).every(([key, value]) => s.labels[key] === value));
  const value = (name: string, labels = {}) => matching(name, labels).reduce((sum, s) => sum + s.value, 0);
  return {
    samples,
    value,
    count: (histogram, labels) => value(`${histogram}_count`, labels),
    quantileBound: (histogram, q, labels = {}) => {
      const buckets = new Map<number, number>();
      for (const s of matching(`${histogram}_bucket`, labels)) {
        const bound = toNumber(s.labels.le ?? "");
        buckets.set(bound, (buckets.get(bound) ?? 0) + s.value);
      }
      const total = buckets.get(Number.POSITIVE_INFINITY);
      if (total === undefined || total === 0) throw new Error(`the histogram ${histogram} has no observation`);
      const bounds = [...buckets].sort(([a], [b]) => a - b);
      return bounds.find(([, below]) => below >= q * total)?.[0] ?? Number.POSITIVE_INFINITY;
    },
  };
}

function parseLine(line: string): Sample[] {
  const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
  if (parts === null) return [];
  const [, name = "", labelText = "", value = ""] = parts;
  const labels: Record<string, string> = {};
  for (const [, key = "", quoted = ""] of labelText.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[key] = quoted.replace(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
  }
  return [{ name, labels, value: toNumber(value) }];
}

function toNumber(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  return text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
}
