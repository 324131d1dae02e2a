/** Whether a model is in memory, and how many callers use it. */
export interface Residency {
  readonly phase: 'unloaded' | 'loading' | 'loaded' | 'unloading';
  /** Number of callers that use the model or wait for it. */
  readonly numUsers: number;
  /** Time at which the last user left, in milliseconds; meaningful if loaded without users. */
  readonly idleSinceMs: number;
}

export type ResidencyEvent =
  | { readonly kind: 'acquired' }
  | { readonly kind: 'released'; readonly nowMs: number }
  | { readonly kind: 'loaded'; readonly nowMs: number }
  | { readonly kind: 'load failed' }
  | { readonly kind: 'unloaded' }
  | { readonly kind: 'timer'; readonly nowMs: number };

export type ResidencyAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'load' }
  | { readonly kind: 'unload' }
  /** Asks for a `timer` event after this many milliseconds. */
  | { readonly kind: 'set timer'; readonly ms: number };

export interface ResidencyMove {
  readonly next: Residency;
  readonly action: ResidencyAction;
}

export const UNLOADED: Residency = { phase: 'unloaded', numUsers: 0, idleSinceMs: 0 };

const NONE: ResidencyAction = { kind: 'none' };
const LOAD: ResidencyAction = { kind: 'load' };

/**
 * Moves a model between disk and memory: loads it at the first use, unloads it after `idleUnloadMs`
 * without one (Infinity: never).
 */
export function moveResidency(
  state: Residency,
  event: ResidencyEvent,
  options: { readonly idleUnloadMs: number },
): ResidencyMove {
  switch (event.kind) {
    case 'acquired': {
      const next = { ...state, numUsers: state.numUsers + 1 };
      if (state.phase !== 'unloaded') return { next, action: NONE };
      return { next: { ...next, phase: 'loading' }, action: LOAD };
    }
    case 'released': {
      const next = { ...state, numUsers: state.numUsers - 1, idleSinceMs: event.nowMs };
      return { next, action: idleAction(next, options) };
    }
    case 'loaded': {
      const next: Residency = { ...state, phase: 'loaded', idleSinceMs: event.nowMs };
      return { next, action: idleAction(next, options) };
    }
    case 'load failed':
      return { next: { ...state, phase: 'unloaded' }, action: NONE };
    case 'unloaded':
      if (state.numUsers === 0) return { next: { ...state, phase: 'unloaded' }, action: NONE };
      return { next: { ...state, phase: 'loading' }, action: LOAD };
    case 'timer': {
      if (state.phase !== 'loaded' || state.numUsers > 0) return { next: state, action: NONE };
      const leftMs = state.idleSinceMs + options.idleUnloadMs - event.nowMs;
      if (leftMs > 0) return { next: state, action: { kind: 'set timer', ms: leftMs } };
      return { next: { ...state, phase: 'unloading' }, action: { kind: 'unload' } };
    }
  }
}

function idleAction(state: Residency, options: { readonly idleUnloadMs: number }): ResidencyAction {
  const isIdle = state.phase === 'loaded' && state.numUsers === 0;
  if (!isIdle || options.idleUnloadMs === Infinity) return NONE;
  return { kind: 'set timer', ms: options.idleUnloadMs };
}
