/** How items that arrive together share a batch. */
export interface BatchLimits {
  readonly maxBatchSize: number;
  /** How long the first item of an idle tower waits for company, milliseconds. */
  readonly windowMs: number;
}

export interface BatchState {
  readonly numWaiting: number;
  /** When the item that waits longest arrived, milliseconds. */
  readonly oldestMs: number;
  /** The tower runs one batch at a time. */
  readonly isRunning: boolean;
}

export type BatchDecision =
  | { readonly kind: 'idle' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'run'; readonly numItems: number };

/** Decides whether the waiting items start now; an item that waited while a batch ran does not wait again. */
export function decideBatch(
  state: BatchState,
  limits: BatchLimits,
  time: { readonly nowMs: number },
): BatchDecision {
  if (state.isRunning || state.numWaiting === 0) return { kind: 'idle' };
  const untilMs = state.oldestMs + limits.windowMs;
  if (state.numWaiting < limits.maxBatchSize && time.nowMs < untilMs) {
    return { kind: 'wait', untilMs };
  }
  return { kind: 'run', numItems: Math.min(state.numWaiting, limits.maxBatchSize) };
}
