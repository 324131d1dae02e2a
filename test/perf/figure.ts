/** One measured number and, if there is one, the limit of the machine for it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Between these the true value lies in 95 of 100 cases. */
  readonly spread?: { readonly low: number; readonly high: number };
  readonly limit?: { readonly name: string; readonly share: number };
  /** What must be read or computed for it, if that is what limits it. */
  readonly work?: { readonly bytes: number } | { readonly flops: number };
}

/** Formats a figure as one line: as text for people, or as a JSON object. */
export function formatFigure(figure: Figure, asJson: boolean): string {
  if (asJson) return JSON.stringify(figure);
  const { name, value, unit, spread, limit, work } = figure;
  const between =
    spread === undefined ? '' : `  (${formatNumber(spread.low)} to ${formatNumber(spread.high)})`;
  const share =
    limit === undefined ? '' : `  (${(100 * limit.share).toFixed(0)} % of ${limit.name})`;
  const amount = work === undefined ? '' : `  ${formatWork(work)}`;
  return `${name.padEnd(48)} ${formatNumber(value).padStart(10)} ${unit}${between}${share}${amount}`;
}

function formatWork(work: NonNullable<Figure['work']>): string {
  if ('bytes' in work) return `${formatNumber(work.bytes / 1e9)} GB`;
  return `${formatNumber(work.flops / 1e12)} TFLOP`;
}

function formatNumber(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** A value, and between what the true one lies in 95 of 100 cases. */
export type Estimate = Required<Pick<Figure, 'value' | 'spread'>>;

/** Resamplings of a bootstrap. */
const NUM_RESAMPLED = 2000;

/**
 * Returns the median of measurements, and by resampling them between what the true one lies: what
 * happens to few of them weighs nothing.
 */
export function medianWithSpread(values: readonly number[]): Estimate {
  const one = () => values[Math.floor(Math.random() * values.length)] ?? Number.NaN;
  const medians = Array.from({ length: NUM_RESAMPLED }, () => middleOf(values.map(one)));
  medians.sort((a, b) => a - b);
  const at = (share: number) => medians[Math.floor(share * NUM_RESAMPLED)] ?? Number.NaN;
  return { value: middleOf(values), spread: { low: at(0.025), high: at(0.975) } };
}

function middleOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Returns the median of so many measurements, after one that touches all memory. */
export async function medianOf(numRounds: number, measure: () => Promise<number>): Promise<number> {
  await measure();
  const values: number[] = [];
  for (let i = 0; i < numRounds; i++) values.push(await measure());
  return middleOf(values);
}
