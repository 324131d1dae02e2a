/** A quantity of a process over the time of a soak. */
export interface Series {
  readonly name: string;
  readonly unit: string;
  /** Values at equal intervals. */
  readonly values: readonly number[];
  readonly allowed: Growth;
}

/** How much a quantity may grow and still count as flat. */
export interface Growth {
  readonly share: number;
  /** In the quantity's unit, beside the share. */
  readonly amount: number;
}

/** Growth that is allowed to each quantity: noise of a loaded machine, and no leak. */
export const ALLOWED_GROWTH = {
  memory: { share: 0.1, amount: 24 },
  descriptors: { share: 0.1, amount: 8 },
  delay: { share: 0.5, amount: 10 },
} as const satisfies Readonly<Record<string, Growth>>;

/** Share of the time in which caches fill and code is compiled. */
const WARM_UP_SHARE = 0.25;
const MIN_VALUES = 12;

export const FLATNESS_RULE = [
  'The first quarter of a mixed soak is warm-up. Of the rest, the median of the last third may exceed',
  'that of the first third by 10 % and 24 MB (resident memory), 10 % and 8 (descriptors), 50 % and',
  '10 ms (event-loop delay, mean of an interval), for each process; else the soak fails.',
].join('\n');

/** The beginning and the end of a quantity, and whether it is flat between them. */
export interface Verdict {
  readonly first: number;
  readonly last: number;
  readonly isFlat: boolean;
}

/** Judges a quantity by `FLATNESS_RULE`; too few values, or one that is no number, are not flat. */
export function judge({ values, allowed }: Series): Verdict {
  const warm = values.slice(Math.ceil(values.length * WARM_UP_SHARE));
  const third = Math.floor(warm.length / 3);
  const first = median(warm.slice(0, third));
  const last = median(warm.slice(warm.length - third));
  const isMeasured = values.length >= MIN_VALUES && values.every((one) => Number.isFinite(one));
  const isFlat = isMeasured && last <= first * (1 + allowed.share) + allowed.amount;
  return { first, last, isFlat };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
