import assert from 'node:assert/strict';
import {
  type MetricFamily,
  MetricKind,
  type MetricSample,
} from '#protos/autoglm/mesh/v1/instance.ts';

export type Labels = Readonly<Record<string, string>>;

/** One metric with all its label sets; `collect` reads the current values. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  collect(): MetricSample[];
}

function keyOf(labels: Labels): string {
  // Every request passes here several times; making entries first would take three times as long.
  let key = '';
  for (const name in labels) key += `${name},${labels[name]};`;
  return key;
}

interface Cell {
  readonly labels: Labels;
  value: number;
}

/** The cells of a metric, one for each label set. */
class Cells<T> {
  readonly #create: (labels: Labels) => T;
  readonly #cells = new Map<string, T>();
  /** What was asked for last: most users count under one object again and again. */
  #last: { readonly labels: Labels; readonly cell: T } | undefined;

  constructor(create: (labels: Labels) => T) {
    this.#create = create;
  }

  /** Returns the cell of a label set; makes it at its first use. */
  of(labels: Labels): T {
    if (this.#last?.labels === labels) return this.#last.cell;
    const key = keyOf(labels);
    const cell = this.#cells.get(key) ?? this.#create(labels);
    this.#cells.set(key, cell);
    this.#last = { labels, cell };
    return cell;
  }

  all(): T[] {
    return [...this.#cells.values()];
  }
}

const NO_LABELS: Labels = {};

/** Counts events. */
export class Counter implements Metric {
  readonly kind = MetricKind.METRIC_KIND_COUNTER;
  readonly name: string;
  readonly help: string;
  readonly #cells = new Cells((labels): Cell => ({ labels, value: 0 }));

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  add(amount: number, labels = NO_LABELS): void {
    assert(amount >= 0, `counter ${this.name} cannot fall`);
    this.#cells.of(labels).value += amount;
  }

  collect(): MetricSample[] {
    return this.#cells.all().map((cell) => ({ ...cell, suffix: '_total' }));
  }
}

/** Reads a value at collection time, so that the hot path pays nothing for it. */
export class Gauge implements Metric {
  readonly kind = MetricKind.METRIC_KIND_GAUGE;
  readonly name: string;
  readonly help: string;
  readonly #read: () => number;
  readonly #labels: Labels;

  constructor(name: string, help: string, read: () => number, labels: Labels = {}) {
    this.name = name;
    this.help = help;
    this.#read = read;
    this.#labels = labels;
  }

  collect(): MetricSample[] {
    return [{ suffix: '', labels: this.#labels, value: this.#read() }];
  }
}

interface HistogramCell {
  readonly labels: Labels;
  /** Counts `[num_bounds + 1]`, not cumulative; the last is +Inf. */
  readonly counts: number[];
  sum: number;
}

/** Counts observations by upper bound. */
export class Histogram implements Metric {
  readonly kind = MetricKind.METRIC_KIND_HISTOGRAM;
  readonly name: string;
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #cells: Cells<HistogramCell>;

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    const zeros = () => Array.from({ length: bounds.length + 1 }, () => 0);
    this.#cells = new Cells((labels) => ({ labels, counts: zeros(), sum: 0 }));
  }

  observe(value: number, labels = NO_LABELS): void {
    const cell = this.#cells.of(labels);
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = found === -1 ? this.#bounds.length : found;
    cell.counts[bucket] = (cell.counts[bucket] ?? 0) + 1;
    cell.sum += value;
  }

  collect(): MetricSample[] {
    return this.#cells.all().flatMap(({ labels, counts, sum }) => {
      let cumulative = 0;
      const buckets = counts.map((count, i): MetricSample => {
        cumulative += count;
        const bound = this.#bounds[i];
        const le = bound === undefined ? '+Inf' : String(bound);
        return { suffix: '_bucket', labels: { ...labels, le }, value: cumulative };
      });
      const total = { suffix: '_count', labels, value: cumulative };
      return [...buckets, { suffix: '_sum', labels, value: sum }, total];
    });
  }
}

/** A value that goes up and down, and the function that reads it. */
export interface Level {
  readonly name: string;
  readonly help: string;
  readonly read: () => number;
  readonly labels?: Labels;
}

/**
 * The metrics of a process. A part of the process that comes and goes has its own registry inside
 * this one: counters are shared, all other metrics are shown from `open` to `close`.
 */
export class MetricRegistry {
  readonly #parent: MetricRegistry | undefined;
  readonly #metrics: Metric[] = [];
  readonly #inner = new Set<MetricRegistry>();

  constructor(parent?: MetricRegistry) {
    this.#parent = parent;
  }

  /** Adds a metric; others may have the same name. */
  register<M extends Metric>(metric: M): M {
    this.#metrics.push(metric);
    return metric;
  }

  /** Returns the counter of this name, which all its users share. */
  counter(name: string, help: string): Counter {
    const known = this.#outermost.#find(name, isCounter);
    return known ?? this.#outermost.register(new Counter(name, help));
  }

  /** Returns the histogram of this name, which all its users share. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const known = this.#outermost.#find(name, isHistogram);
    return known ?? this.#outermost.register(new Histogram(name, help, bounds));
  }

  /** Adds gauges, each with `common` labels. */
  show(levels: readonly Level[], common: Labels = {}): void {
    for (const { name, help, read, labels } of levels) {
      this.register(new Gauge(name, help, read, { ...common, ...labels }));
    }
  }

  /** Shows this registry's metrics in the outer one, in front of others with equal labels. */
  open(): void {
    if (this.#parent !== undefined) this.#parent.#inner.add(this);
  }

  close(): void {
    if (this.#parent !== undefined) this.#parent.#inner.delete(this);
  }

  collect(): MetricFamily[] {
    const families = new Map<string, Metric[]>();
    for (const metric of this.#all()) {
      families.set(metric.name, [...(families.get(metric.name) ?? []), metric]);
    }
    return [...families.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, metrics]) => ({
        name,
        help: metrics[0]?.help ?? '',
        kind: metrics[0]?.kind ?? MetricKind.METRIC_KIND_UNSPECIFIED,
        samples: lastOfEach(metrics.flatMap((metric) => metric.collect())),
      }));
  }

  get #outermost(): MetricRegistry {
    return this.#parent === undefined ? this : this.#parent.#outermost;
  }

  #find<M extends Metric>(name: string, isWanted: (metric: Metric) => metric is M): M | undefined {
    return this.#metrics.filter(isWanted).find((metric) => metric.name === name);
  }

  #all(): Metric[] {
    return [...this.#metrics, ...[...this.#inner].flatMap((one) => one.#all())];
  }
}

function isCounter(metric: Metric): metric is Counter {
  return metric instanceof Counter;
}

function isHistogram(metric: Metric): metric is Histogram {
  return metric instanceof Histogram;
}

/** Returns one sample of each label set: the last of those with equal labels. */
function lastOfEach(samples: readonly MetricSample[]): MetricSample[] {
  return [...new Map(samples.map((one) => [`${one.suffix};${keyOf(one.labels)}`, one])).values()];
}

/** vLLM's buckets for times to first token, seconds. */
export const TTFT_BUCKETS_S = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  160, 640, 2560,
] as const;

/** vLLM's buckets for times per output token, seconds, with finer ones below 10 ms. */
export const TPOT_BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5,
  7.5, 10, 20, 40, 80,
] as const;

/** vLLM's buckets for whole requests, seconds, with finer ones below 300 ms. */
export const REQUEST_BUCKETS_S = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60,
  120, 240, 480, 960, 1920, 7680,
] as const;
