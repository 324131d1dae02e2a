import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';

/** Longest wait for an answer, milliseconds; a server that stands still is then said to be away. */
const ANSWER_LIMIT_MS = 10_000;

export interface Polled<T> {
  /** The last answer; undefined until the first. */
  readonly value: T | undefined;
  /** Why the last question failed; undefined if it did not. */
  readonly error: unknown;
  /** When the last answer came, Unix milliseconds; 0 before it. */
  readonly answeredMs: number;
}

/**
 * Asks again `intervalMs` after each answer while the page is seen. `ask` may be another function at
 * each rendering; the last one counts.
 */
export function usePolling<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  intervalMs: number,
): Polled<T> {
  const [polled, setPolled] = useState<Polled<T>>({
    value: undefined,
    error: undefined,
    answeredMs: 0,
  });
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    let hasEnded = false;
    let asking: AbortController | undefined;
    let timer: number | undefined;
    const poll = async () => {
      asking = new AbortController();
      const { signal } = asking;
      const limit = setTimeout(() => asking?.abort(), ANSWER_LIMIT_MS);
      try {
        const value = await latest.current(signal);
        if (hasEnded) return;
        setPolled({ value, error: undefined, answeredMs: Date.now() });
      } catch (cause: unknown) {
        if (hasEnded) return;
        const error = signal.aborted ? new ApiError(0, '') : cause;
        setPolled((previous) => ({ ...previous, error }));
      } finally {
        clearTimeout(limit);
      }
      schedule(intervalMs);
    };
    const schedule = (ms: number) => {
      clearTimeout(timer);
      timer = undefined;
      if (document.visibilityState === 'hidden') return;
      timer = setTimeout(() => void poll(), ms);
    };
    const onSeen = () => {
      if (timer === undefined) schedule(0);
    };
    document.addEventListener('visibilitychange', onSeen);
    schedule(0);
    return () => {
      hasEnded = true;
      asking?.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onSeen);
    };
  }, [intervalMs]);
  return polled;
}
