/** Limits on a batch of items that arrive together. */
export interface BatchLimits {
  readonly maxBatchSize: number;
  /** Most grid cells of a batch; an item with more of them has a batch of its own. */
  readonly maxCells: number;
  /** How long the first item of an idle tower waits for others, in milliseconds. */
  readonly windowMs: number;
}

export interface BatchState {
  /** Grid cells of each waiting item, in order of arrival. */
  readonly waitingCells: readonly number[];
  /** Time at which the item that waits longest arrived, in milliseconds. */
  readonly oldestMs: number;
  /** True while a batch runs; the tower runs one at a time. */
  readonly isRunning: boolean;
}

export type BatchDecision =
  | { readonly kind: 'idle' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'run'; readonly numItems: number };

/**
 * Decides whether waiting items start, and how many of them, in order of arrival. An item that
 * waited while a batch ran does not wait again.
 */
export function decideBatch(
  state: BatchState,
  limits: BatchLimits,
  time: { readonly nowMs: number },
): BatchDecision {
  if (state.isRunning || state.waitingCells.length === 0) return { kind: 'idle' };
  const { numItems, isFull } = fillBatch(state.waitingCells, limits);
  const untilMs = state.oldestMs + limits.windowMs;
  if (!isFull && time.nowMs < untilMs) return { kind: 'wait', untilMs };
  return { kind: 'run', numItems };
}

/** Takes items in order while they fit; always takes the first. */
function fillBatch(
  waitingCells: readonly number[],
  { maxBatchSize, maxCells }: BatchLimits,
): { readonly numItems: number; readonly isFull: boolean } {
  let numItems = 0;
  let numCells = 0;
  for (const cells of waitingCells) {
    const fits = numItems < maxBatchSize && numCells + cells <= maxCells;
    if (numItems > 0 && !fits) return { numItems, isFull: true };
    numItems += 1;
    numCells += cells;
  }
  return { numItems, isFull: numItems === maxBatchSize || numCells >= maxCells };
}
