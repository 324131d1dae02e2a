import type { Clock } from './clock.ts';

export interface Deadline {
  /** The caller's own signal. */
  readonly signal: AbortSignal;
  readonly limitMs: number;
  readonly clock: Clock;
  /** Makes the error of work that is late. */
  readonly late: () => Error;
}

/** Runs work with a signal that aborts at the limit, or when the caller's does. */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { signal, limitMs, clock, late }: Deadline,
): Promise<T> {
  signal.throwIfAborted();
  const controller = new AbortController();
  let isLate = false;
  const callOff = clock.after(limitMs, () => {
    isLate = true;
    controller.abort();
  });
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    return await work(controller.signal);
  } catch (error: unknown) {
    throw isLate && !signal.aborted ? late() : error;
  } finally {
    callOff();
    signal.removeEventListener('abort', onAbort);
  }
}
