import * as prometheus from "prom-client";

/** The values that each label can have. */
type LabelSpec = Readonly<Record<string, readonly string[]>>;

type Labels<Spec extends LabelSpec> = { readonly [Name in keyof Spec]: Spec[Name][number] };

/** The labels come first, where there are any. */
type LabelArguments<Spec extends LabelSpec> = keyof Spec extends never ? [] : [labels: Labels<Spec>];

interface Counter<Spec extends LabelSpec> {
  /** Adds to the count; 1 unless an amount is given. */
  inc(...args: [...LabelArguments<Spec>, amount?: number]): void;
}

interface Gauge<Spec extends LabelSpec> {
  set(...args: [...LabelArguments<Spec>, value: number]): void;
  /** Adds to the value; a negative amount lowers it. */
  add(...args: [...LabelArguments<Spec>, amount: number]): void;
}

interface Histogram<Spec extends LabelSpec> {
  observe(...args: [...LabelArguments<Spec>, value: number]): void;
}

interface Description<Spec extends LabelSpec> {
  readonly name: string;
  readonly help: string;
  readonly labels: Spec;
}

export function counter<const Spec extends LabelSpec>(
  registers: prometheus.Registry,
  { name, help, labels }: Description<Spec>,
): Counter<Spec> {
  const metric = new prometheus.Counter({ name, help, labelNames: Object.keys(labels), registers: [registers] });
  for (const each of combinations(labels)) metric.inc(each, 0);
  return { inc: (...args) => metric.inc(...split(args)) };
}

/** `aggregator` says how the values of several processes make one; they are added up unless given. */
export function gauge<const Spec extends LabelSpec>(
  registers: prometheus.Registry,
  { name, help, labels, aggregator = "sum" }: Description<Spec> & { readonly aggregator?: "sum" | "max" },
): Gauge<Spec> {
  const labelNames = Object.keys(labels);
  const metric = new prometheus.Gauge({ name, help, labelNames, aggregator, registers: [registers] });
  for (const each of combinations(labels)) metric.set(each, 0);
  return { set: (...args) => metric.set(...split(args)), add: (...args) => metric.inc(...split(args)) };
}

/** `buckets` are upper bounds in the metric's unit, rising. */
export function histogram<const Spec extends LabelSpec>(
  registers: prometheus.Registry,
  { name, help, labels, buckets }: Description<Spec> & { readonly buckets: readonly number[] },
): Histogram<Spec> {
  const labelNames = Object.keys(labels);
  const metric = new prometheus.Histogram({ name, help, labelNames, buckets: [...buckets], registers: [registers] });
  for (const each of combinations(labels)) metric.zero(each);
  return { observe: (...args) => metric.observe(...split(args)) };
}

function split(args: readonly unknown[]): [labels: Record<string, string>, value: number] {
  const [labels, value = 1] = typeof args[0] === "object" ? args : [{}, ...args];
  return [labels as Record<string, string>, value as number];
}

/** Every set of labels that the values allow; one empty set when there are no labels. */
function combinations(labels: LabelSpec): Record<string, string>[] {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (sets, [name, values]) => sets.flatMap((set) => values.map((value) => ({ ...set, [name]: value }))),
    [{}],
  );
}
