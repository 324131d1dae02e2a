import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';
import { RESERVED_CONNECTIONS } from './connections.ts';

/** Descriptors for what a process opens while it runs: the log, threads, files of media. */
const SPARE = 24;
/** Descriptors that are held open, to be given up when the system has no more. */
const NUM_HELD = 4;
const PROBE_MS = 1000;
/** Milliseconds between two log lines about the same lack. */
const LOG_INTERVAL_MS = 30_000;

export interface DescriptorNeed {
  readonly maxConnections: number;
  /** Connections that this process opens itself. */
  readonly numOwnConnections: number;
}

/** Descriptors that a process may have, and that it has; undefined where that cannot be read. */
export interface DescriptorCount {
  readonly limit: number;
  readonly numOpen: number;
}

export function countDescriptors(): DescriptorCount | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const limit = /^Max open files +(\d+)/m.exec(limits)?.[1];
    if (limit === undefined) return undefined;
    return { limit: Number(limit), numOpen: readdirSync('/proc/self/fd').length };
  } catch {
    return undefined;
  }
}

/**
 * Returns how many connections of clients can be served with the descriptors of this process; warns
 * if those are fewer than configured.
 */
export function servableConnections(
  { maxConnections, numOwnConnections }: DescriptorNeed,
  count: DescriptorCount | undefined,
  log: Log,
): number {
  if (count === undefined) return maxConnections;
  const numOthers = count.numOpen + numOwnConnections + SPARE + NUM_HELD + RESERVED_CONNECTIONS;
  const numServable = Math.max(1, count.limit - numOthers);
  if (numServable >= maxConnections) return maxConnections;
  log.warn(
    `the limit on open files (ulimit -n) is ${count.limit}: at most ${numServable} connections are served instead of ${maxConnections} (key "max-connections"); ${maxConnections + numOthers} are needed: raise it by "ulimit -n", LimitNOFILE= of systemd or --ulimit nofile= of Docker, or lower the key`,
  );
  return numServable;
}

/**
 * Notices when the process has no descriptor left, which is when the system drops connections
 * without a word. Says so in the log, and gives up the descriptors it holds so that some
 * connections get through. Returns a function that ends the watch.
 */
export function watchDescriptors(log: Log, clock: Clock, onLack: () => void): () => void {
  let held: number[] = [];
  let lastLogMs = Number.NEGATIVE_INFINITY;
  let callOff = () => {};
  const look = () => {
    const cause = refill();
    if (cause !== undefined) {
      for (const descriptor of held.splice(0)) closeSync(descriptor);
      onLack();
      if (clock.now() - lastLogMs >= LOG_INTERVAL_MS) {
        lastLogMs = clock.now();
        log.error(
          `connections cannot be accepted (${cause}): the limit on open files (ulimit -n) is reached; raise it or lower the key "max-connections"`,
        );
      }
    }
    callOff = clock.after(PROBE_MS, look);
  };
  /** Opens what is not held; returns the code of a failure. */
  const refill = (): string | undefined => {
    try {
      while (held.length < NUM_HELD) held.push(openSync('/dev/null', 'r'));
      // One more must be free, since the next connection needs it.
      closeSync(openSync('/dev/null', 'r'));
      return undefined;
    } catch (error: unknown) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  };
  look();
  return () => {
    callOff();
    for (const descriptor of held) closeSync(descriptor);
    held = [];
  };
}
