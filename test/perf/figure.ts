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

/** Returns the mean of measurements. */
export function meanOf(values: readonly number[]): Estimate {
  return ratioOf(
    values,
    values.map(() => 1),
  );
}

/**
 * Returns the sum of measurements through that of others, each made beside one of them: what troubles
 * both of a pair weighs little.
 */
export function ratioOf(values: readonly number[], others: readonly number[]): Estimate {
  const total = sumOf(others);
  const value = sumOf(values) / total;
  const squares = values.map((one, at) => (one - value * (others[at] ?? 0)) ** 2);
  const numPairs = values.length;
  const error = Math.sqrt((sumOf(squares) * numPairs) / Math.max(1, numPairs - 1)) / total;
  return { value, spread: { low: value - 1.96 * error, high: value + 1.96 * error } };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Returns the median of so many measurements, after one that touches all memory. */
export async function medianOf(numRounds: number, measure: () => Promise<number>): Promise<number> {
  await measure();
  const values: number[] = [];
  for (let i = 0; i < numRounds; i++) values.push(await measure());
  return values.sort((a, b) => a - b)[Math.floor(numRounds / 2)] ?? Number.NaN;
}
