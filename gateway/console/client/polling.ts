import { useEffect, useRef, useState } from 'preact/hooks';

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
    const ending = new AbortController();
    let timer: number | undefined;
    const poll = async () => {
      try {
        const value = await latest.current(ending.signal);
        if (ending.signal.aborted) return;
        setPolled({ value, error: undefined, answeredMs: Date.now() });
      } catch (error: unknown) {
        if (ending.signal.aborted) return;
        setPolled((previous) => ({ ...previous, error }));
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
      ending.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onSeen);
    };
  }, [intervalMs]);
  return polled;
}
