/** How long a process that died waits before it is restarted. */
export interface RestartPolicy {
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Factor by which each further failure multiplies the delay. */
  readonly factor: number;
  /** Milliseconds of a run that clears the failures before it. */
  readonly stableRunMs: number;
  /** Random share of the delay, so that processes that died together do not start together. */
  readonly jitter: number;
}

export const RESTART_POLICY: RestartPolicy = {
  firstDelayMs: 250,
  maxDelayMs: 15_000,
  factor: 2,
  stableRunMs: 30_000,
  jitter: 0.2,
};

export interface Restart {
  /** Number of consecutive failures, including this one. */
  readonly numFailures: number;
  readonly delayMs: number;
}

/** A run that ended, and the failures before it. */
export interface FinishedRun {
  /** Number of consecutive failures before this run. */
  readonly numFailures: number;
  readonly uptimeMs: number;
  /** Random number in [0, 1). */
  readonly random: number;
}

/** Decides when a process that ended unasked is restarted. */
export function planRestart(policy: RestartPolicy, run: FinishedRun): Restart {
  const wasStable = run.uptimeMs >= policy.stableRunMs;
  const numFailures = wasStable ? 1 : run.numFailures + 1;
  const delay = policy.firstDelayMs * policy.factor ** (numFailures - 1);
  const bounded = Math.min(policy.maxDelayMs, delay);
  const delayMs = Math.round(bounded * (1 - policy.jitter * run.random));
  return { numFailures, delayMs };
}
