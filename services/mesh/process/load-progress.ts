import { backgroundClock, type Clock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';
import { tellSupervisor } from './supervision.ts';

/** Time between two lines of a load that goes on. */
const INTERVAL_MS = 1000;
const GIB = 1024 ** 3;

/** How far a load has come. */
export interface LoadedBytes {
  readonly doneBytes: number;
  /** 0 if it is not known yet. */
  readonly totalBytes: number;
}

export interface LoadProgress {
  readonly log: Log;
  /** What is being loaded: "the weights of glm". */
  readonly what: string;
  readonly clock?: Clock;
}

/**
 * Logs how far a load has come, and tells the supervisor, every second as long as it goes on: nothing
 * for a small model.
 * `load` hands over a function that says it.
 */
export async function withLoadProgress<T>(
  load: (watch: (progress: () => LoadedBytes) => void) => Promise<T>,
  { log, what, clock = backgroundClock }: LoadProgress,
): Promise<T> {
  const startMs = clock.now();
  let progress = (): LoadedBytes => ({ doneBytes: 0, totalBytes: 0 });
  const report = () => {
    const facts = { ...progress(), elapsedMs: clock.now() - startMs };
    tellSupervisor({ kind: 'starting', progress: `loading ${percentOf(facts)} %` });
    log.info(`loading ${what}: ${describeProgress(facts)}`);
    cancel = clock.after(INTERVAL_MS, report);
  };
  let cancel = clock.after(INTERVAL_MS, report);
  try {
    return await load((watched) => {
      progress = watched;
    });
  } finally {
    cancel();
  }
}

function percentOf({ doneBytes, totalBytes }: LoadedBytes): number {
  return totalBytes === 0 ? 0 : Math.floor((100 * doneBytes) / totalBytes);
}

interface ProgressFacts extends LoadedBytes {
  readonly elapsedMs: number;
}

/** Writes `23 %, 4.1 of 18.2 GiB, 1.90 GB/s, about 8 s left`. */
export function describeProgress(facts: ProgressFacts): string {
  const { doneBytes, totalBytes, elapsedMs } = facts;
  if (totalBytes === 0) return `${Math.round(elapsedMs / 1000)} s so far`;
  const amount = `${(doneBytes / GIB).toFixed(1)} of ${(totalBytes / GIB).toFixed(1)} GiB`;
  const rate = `${(doneBytes / 1e6 / elapsedMs).toFixed(2)} GB/s`;
  const leftMs = ((totalBytes - doneBytes) / doneBytes) * elapsedMs;
  const left = doneBytes === 0 ? '' : `, about ${Math.ceil(leftMs / 1000)} s left`;
  return `${percentOf(facts)} %, ${amount}, ${rate}${left}`;
}
