/**
 * Longest wait for an event that happens at once if the code is right, ms. Only a failing test
 * waits this long, in real time.
 */
const BOUND_MS = 20_000;
/** Most events of a trace in a message; they are the last ones. */
const MAX_EVENTS = 100;

export interface Wait {
  /** Awaited event, as a message names it. */
  readonly what: string;
  /** Returns the events so far, in order. */
  readonly trace?: () => readonly string[];
  readonly boundMs?: number;
}

/** Waits for an event; fails with the trace of the other events if it does not come in time. */
export async function within<T>(
  waiting: Promise<T>,
  { what, trace = () => [], boundMs = BOUND_MS }: Wait,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(lateMessage(what, trace(), boundMs))), boundMs);
  });
  try {
    return await Promise.race([waiting, late]);
  } finally {
    clearTimeout(timer);
  }
}

function lateMessage(what: string, trace: readonly string[], boundMs: number): string {
  const events = trace.slice(-MAX_EVENTS).map((event) => `  ${event}\n`);
  const happened = events.length === 0 ? 'nothing' : `\n${events.join('')}`;
  return `waited ${boundMs / 1000} s for ${what}; what happened: ${happened}`;
}
