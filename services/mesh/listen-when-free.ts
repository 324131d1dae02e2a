import { type Clock, systemClock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';

const RETRY_MS = 100;

/**
 * How long a process waits for its port. Usually its own predecessor, which is about to end, holds
 * the port. If another program keeps it, the user must learn that while still looking at the
 * screen.
 */
const WAIT_LIMIT_MS = 5000;

export interface PortWait {
  /** Address `host:port`, as the log names it. */
  readonly address: string;
  readonly log: Log;
  readonly limitMs?: number;
  readonly clock?: Clock;
  /** Ends the wait at once; the promise then rejects with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Listens. While the port is in use, tries again for a bounded time and logs once what it waits
 * for. Rejects with the last error of `listen`.
 */
export async function listenWhenFree<T>(listen: () => Promise<T>, wait: PortWait): Promise<T> {
  const { address, log, limitMs = WAIT_LIMIT_MS, clock = systemClock, signal } = wait;
  const endMs = clock.now() + limitMs;
  for (let isFirst = true; ; isFirst = false) {
    signal?.throwIfAborted();
    try {
      return await listen();
    } catch (error: unknown) {
      if (!isInUse(error) || clock.now() >= endMs) throw error;
    }
    if (isFirst) log.warn(`${address} is in use; waiting at most ${limitMs / 1000} s for it`);
    await pause(clock, signal);
  }
}

/**
 * Tells whether the port is in use, by the error's code, or by its text if a library has joined
 * several errors.
 */
export function isInUse(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'EADDRINUSE') || /\bEADDRINUSE\b/.test(error.message);
}

function pause(clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      callOff();
      reject(signal?.reason);
    };
    const callOff = clock.after(RETRY_MS, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
