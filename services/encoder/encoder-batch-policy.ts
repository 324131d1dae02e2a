/** Limits on a batch of items that arrive together. */
export interface BatchLimits {
  readonly maxBatchSize: number;
  /** Most grid cells of a batch; an item with more of them has a batch of its own. */
  readonly maxCells: number;
  /** How long the first item of an idle tower waits for others, in milliseconds. */
  readonly windowMs: number;
}

/** The facts about a waiting item that decide with which others it is encoded. */
export interface WaitingItem {
  readonly numCells: number;
  /** True if the item may have crashed a process, so that no other is to be with it. */
  readonly isSuspect: boolean;
}

export interface BatchState {
  /** Waiting items in order of arrival. */
  readonly waiting: readonly WaitingItem[];
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
  if (state.isRunning || state.waiting.length === 0) return { kind: 'idle' };
  const { numItems, isFull } = fillBatch(state.waiting, limits);
  const untilMs = state.oldestMs + limits.windowMs;
  if (!isFull && time.nowMs < untilMs) return { kind: 'wait', untilMs };
  return { kind: 'run', numItems };
}

/** Takes items in order while they fit; always takes the first, and nothing beside a suspect. */
function fillBatch(
  waiting: readonly WaitingItem[],
  { maxBatchSize, maxCells }: BatchLimits,
): { readonly numItems: number; readonly isFull: boolean } {
  let numItems = 0;
  let sumCells = 0;
  for (const { numCells, isSuspect } of waiting) {
    const fits = numItems < maxBatchSize && sumCells + numCells <= maxCells;
    if (numItems > 0 && (isSuspect || !fits)) return { numItems, isFull: true };
    numItems += 1;
    sumCells += numCells;
    if (isSuspect) return { numItems, isFull: true };
  }
  return { numItems, isFull: numItems === maxBatchSize || sumCells >= maxCells };
}
