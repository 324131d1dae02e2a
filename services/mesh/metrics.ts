import assert from 'node:assert/strict';
import {
  type MetricFamily,
  MetricKind,
  type MetricSample,
} from '#protos/autoglm/mesh/v1/instance.ts';

export type Labels = Readonly<Record<string, string>>;

/** One metric with all its label sets; `collect` reads the current values. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  collect(): MetricSample[];
}

function keyOf(labels: Labels): string {
  return Object.entries(labels).join(';');
}

interface Cell {
  readonly labels: Labels;
  value: number;
}

/** Finds the cell of a label set, made at its first use. */
function cellOf(cells: Map<string, Cell>, labels: Labels): Cell {
  const key = keyOf(labels);
  const known = cells.get(key);
  if (known !== undefined) return known;
  const cell = { labels, value: 0 };
  cells.set(key, cell);
  return cell;
}

/** Counts events. */
export class Counter implements Metric {
  readonly kind = MetricKind.METRIC_KIND_COUNTER;
  readonly name: string;
  readonly help: string;
  readonly #cells = new Map<string, Cell>();

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  add(amount: number, labels: Labels = {}): void {
    assert(amount >= 0, `counter ${this.name} cannot fall`);
    cellOf(this.#cells, labels).value += amount;
  }

  collect(): MetricSample[] {
    return [...this.#cells.values()].map((cell) => ({ ...cell, suffix: '_total' }));
  }
}

interface Shown {
  readonly labels: Labels;
  readonly read: () => number;
}

/** Reads its values at collection time, so that the hot path pays nothing for them. */
export class Gauge implements Metric {
  readonly kind = MetricKind.METRIC_KIND_GAUGE;
  readonly name: string;
  readonly help: string;
  readonly #shown = new Map<string, Shown>();

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  /** Shows a value until the returned function is called, or another with the same labels is shown. */
  show(read: () => number, labels: Labels = {}): () => void {
    const [key, shown] = [keyOf(labels), { labels, read }];
    this.#shown.set(key, shown);
    return () => {
      if (this.#shown.get(key) === shown) this.#shown.delete(key);
    };
  }

  collect(): MetricSample[] {
    return [...this.#shown.values()].map(({ labels, read }) => ({
      suffix: '',
      labels,
      value: read(),
    }));
  }
}

interface HistogramCell {
  readonly labels: Labels;
  /** `[num_bounds + 1]`, not cumulative; the last is +Inf. */
  readonly counts: number[];
  sum: number;
}

/** Counts observations by upper bound. */
export class Histogram implements Metric {
  readonly kind = MetricKind.METRIC_KIND_HISTOGRAM;
  readonly name: string;
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #cells = new Map<string, HistogramCell>();

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
  }

  observe(value: number, labels: Labels = {}): void {
    const key = keyOf(labels);
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = { labels, counts: Array.from({ length: this.#bounds.length + 1 }, () => 0), sum: 0 };
      this.#cells.set(key, cell);
    }
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = found === -1 ? this.#bounds.length : found;
    cell.counts[bucket] = (cell.counts[bucket] ?? 0) + 1;
    cell.sum += value;
  }

  collect(): MetricSample[] {
    return [...this.#cells.values()].flatMap(({ labels, counts, sum }) => {
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

/** A value that goes up and down, and what reads it. */
export interface Level {
  readonly name: string;
  readonly help: string;
  readonly read: () => number;
  readonly labels?: Labels;
}

/** All metrics of one process, by name. */
export class MetricRegistry {
  readonly #metrics = new Map<string, Metric>();

  /** Adds a metric whose name no other has. */
  register<M extends Metric>(metric: M): M {
    assert(!this.#metrics.has(metric.name), `two metrics have the name ${metric.name}`);
    this.#metrics.set(metric.name, metric);
    return metric;
  }

  /** The counter of this name: all who ask for it count together. */
  counter(name: string, help: string): Counter {
    const known = this.#metrics.get(name);
    return known instanceof Counter ? known : this.register(new Counter(name, help));
  }

  /** The histogram of this name: all who ask for it observe together. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const known = this.#metrics.get(name);
    return known instanceof Histogram ? known : this.register(new Histogram(name, help, bounds));
  }

  /** Shows levels as gauges, each with `common` labels, until the returned function is called. */
  show(levels: readonly Level[], common: Labels = {}): () => void {
    const hides = levels.map(({ name, help, read, labels }) =>
      this.#gauge(name, help).show(read, { ...common, ...labels }),
    );
    return () => {
      for (const hide of hides) hide();
    };
  }

  collect(): MetricFamily[] {
    return [...this.#metrics.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((metric) => ({
        name: metric.name,
        help: metric.help,
        kind: metric.kind,
        samples: metric.collect(),
      }));
  }

  #gauge(name: string, help: string): Gauge {
    const known = this.#metrics.get(name);
    return known instanceof Gauge ? known : this.register(new Gauge(name, help));
  }
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

/** vLLM's buckets for whole requests, seconds. */
export const REQUEST_BUCKETS_S = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
] as const;
