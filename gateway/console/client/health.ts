import { usePolling } from './polling.ts';

/** Milliseconds between two looks at the gateway's health. */
const INTERVAL_MS = 3000;

/** Follows what `/health` says; "unreachable" if nobody answers, "unknown" before the first answer. */
export function useHealth(): string {
  const { value, error } = usePolling(async (signal) => {
    const response = await fetch('health', { signal, cache: 'no-store', credentials: 'omit' });
    const health: { readonly status?: unknown } = await response.json();
    return String(health.status);
  }, INTERVAL_MS);
  if (error !== undefined) return 'unreachable';
  return value ?? 'unknown';
}
