/** A time in which a stream brought no token, ms. */
export interface Pause {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Returns the times between the tokens of a stream. */
export function pausesOf(tokenTimesMs: readonly number[]): readonly Pause[] {
  return tokenTimesMs
    .slice(1)
    .map((toMs, index) => ({ fromMs: tokenTimesMs[index] ?? toMs, toMs }));
}

/** Returns the length of the longest pause; 0 if there is none. */
export function longest(pauses: readonly Pause[]): number {
  return pauses.reduce((most, { fromMs, toMs }) => Math.max(most, toMs - fromMs), 0);
}

/** Returns the pauses that share time with a stretch. */
export function pausesWithin(pauses: readonly Pause[], stretch: Pause): readonly Pause[] {
  return pauses.filter(({ fromMs, toMs }) => toMs >= stretch.fromMs && fromMs <= stretch.toMs);
}

/** Returns the smallest value that `share` of the values do not exceed; NaN if there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
