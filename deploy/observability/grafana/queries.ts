import type { Query } from './dashboard.ts';

/** Legend of series of which each instance has one. */
export const PER_INSTANCE = '{{instance}}';

/** Labels that a query asks for besides those of the mesh, as PromQL has them: `status="5xx"`. */
type Matchers = readonly string[];

/** Selects the series of a metric that belong to the meshes shown. */
export function of(metric: string, ...matchers: Matchers): string {
  return `${metric}{${['job=~"$job"', ...matchers].join(',')}}`;
}

/** Sums the rate a second of a counter, by labels. */
export function rate(metric: string, by: readonly string[] = [], ...matchers: Matchers): string {
  return `sum${clause(by)} (rate(${of(metric, ...matchers)}[$__rate_interval]))`;
}

/** Sums the rate of what may never have happened yet: then it is one series of 0. */
export function rateOfRare(metric: string, by: readonly string[] = []): string {
  const sum = rate(metric, by);
  return `${sum} or (vector(0) unless on () ${sum})`;
}

/** Estimates a quantile of a histogram, by labels. */
export function quantile(
  share: number,
  metric: string,
  by: readonly string[] = [],
  ...matchers: Matchers
): string {
  const buckets = of(`${metric}_bucket`, ...matchers);
  return `histogram_quantile(${share}, sum by (${[...by, 'le'].join(', ')}) (rate(${buckets}[$__rate_interval])))`;
}

/** Divides the sum of a histogram's values by their number, by labels. */
export function mean(metric: string, by: readonly string[] = []): string {
  return ratio(`${metric}_sum`, `${metric}_count`, by);
}

/** Divides the rates of two counters, by labels. */
export function ratio(
  part: string,
  whole: string,
  by: readonly string[] = [],
  ...matchers: Matchers
): string {
  return `${rate(part, by, ...matchers)} / ${rate(whole, by, ...matchers)}`;
}

/** Asks for the median, and what one request in 20 and one in 100 exceed. */
export function quantiles(metric: string): Query[] {
  return [0.5, 0.95, 0.99].map((share) => ({
    expr: quantile(share, metric),
    legend: `P${share * 100}`,
  }));
}

/** Asks for what each instance uses, and how much it may. */
export function usedOf(metric: string, limit = `${metric}_limit`): Query[] {
  return [
    { expr: of(metric), legend: PER_INSTANCE },
    { expr: of(limit), legend: `${PER_INSTANCE}, limit` },
  ];
}

function clause(by: readonly string[]): string {
  return by.length === 0 ? '' : ` by (${by.join(', ')})`;
}
