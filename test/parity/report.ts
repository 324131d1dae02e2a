/** One comparison with the reference. */
export interface ParityRow {
  readonly name: string;
  /** ‖x − reference‖ / ‖reference‖, or null if the comparison is exact. */
  readonly relativeError: number | null;
  /** Largest `relativeError` that passes. */
  readonly tolerance: number | null;
  /** Result of the exact part in words ("24 equal", "differs at 3: 17, not 19"), or "". */
  readonly exact: string;
  readonly passed: boolean;
}

export function errorRow(
  name: string,
  ours: ArrayLike<number>,
  reference: ArrayLike<number>,
  tolerance: number,
): ParityRow {
  const error = relativeError(ours, reference);
  // The comparison is written so that NaN fails.
  return { name, relativeError: error, tolerance, exact: '', passed: error <= tolerance };
}

export function exactRow(
  name: string,
  ours: ArrayLike<number>,
  reference: ArrayLike<number>,
): ParityRow {
  const at = firstDifference(ours, reference);
  const exact = at === -1 ? `${reference.length} equal` : describeDifference(ours, reference, at);
  return { name, relativeError: null, tolerance: null, exact, passed: at === -1 };
}

/**
 * Compares greedy tokens up to the first step whose two best logits are closer than `minMargin`
 * (their gap over the standard deviation of the logits): at such a step either token may be chosen.
 */
export function greedyRow(
  name: string,
  tokens: { readonly ours: readonly number[]; readonly reference: readonly number[] },
  margins: readonly number[],
  minMargin: number,
): ParityRow {
  const tie = margins.findIndex((margin) => margin < minMargin);
  const end = tie === -1 ? tokens.reference.length : tie;
  const row = exactRow(name, tokens.ours.slice(0, end), tokens.reference.slice(0, end));
  return tie === -1 ? row : { ...row, exact: `${row.exact}, then a tie` };
}

export function textRow(name: string, ours: string, reference: string): ParityRow {
  const passed = ours === reference;
  const exact = passed ? 'equal' : `${JSON.stringify(ours)}, not ${JSON.stringify(reference)}`;
  return { name, relativeError: null, tolerance: null, exact, passed };
}

/** Returns ‖a − b‖ / ‖b‖; infinity if the lengths differ. */
function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    const reference = b[i] ?? Number.NaN;
    difference += ((a[i] ?? Number.NaN) - reference) ** 2;
    norm += reference ** 2;
  }
  return Math.sqrt(difference / norm);
}

function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.max(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

function describeDifference(a: ArrayLike<number>, b: ArrayLike<number>, at: number): string {
  return `differs at ${at}: ${a[at] ?? 'end'}, not ${b[at] ?? 'end'}`;
}

/** Formats the rows as a table, one line per row. */
export function formatRows(rows: readonly ParityRow[]): string {
  const width = Math.max(4, ...rows.map(({ name }) => name.length));
  const head = `${'case'.padEnd(width)}  rel. error  tolerance  exact`;
  const lines = rows.map(({ name, relativeError: error, tolerance, exact, passed }) => {
    const cells = [
      name.padEnd(width),
      (error === null ? '-' : error.toExponential(1)).padStart(10),
      (tolerance === null ? '-' : tolerance.toExponential(0)).padStart(9),
      exact,
    ];
    return `${cells.join('  ').trimEnd()}${passed ? '' : '  FAILED'}`;
  });
  return [head, ...lines].join('\n');
}
