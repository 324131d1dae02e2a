/** How items that arrive together share a batch. */
export interface BatchLimits {
  readonly maxBatchSize: number;
  /** Grid cells of a batch; an item with more of them goes alone. */
  readonly maxCells: number;
  /** How long the first item of an idle tower waits for company, milliseconds. */
  readonly windowMs: number;
}

export interface BatchState {
  /** Grid cells of each waiting item, in order of arrival. */
  readonly waitingCells: readonly number[];
  /** When the item that waits longest arrived, milliseconds. */
  readonly oldestMs: number;
  /** The tower runs one batch at a time. */
  readonly isRunning: boolean;
}

export type BatchDecision =
  | { readonly kind: 'idle' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'run'; readonly numItems: number };

/**
 * Decides whether waiting items start now, and how many of them; the tower takes these as they are.
 * An item that waited while a batch ran does not wait again.
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

/** Takes items in order for as long as the next one fits; the first always does. */
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
