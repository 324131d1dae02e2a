/** How long a process that died waits before it is started again. */
export interface RestartPolicy {
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Each further failure multiplies the delay. */
  readonly factor: number;
  /** A run at least this long clears the failures before it. */
  readonly stableRunMs: number;
  /** Share of the delay that is random, so that processes felled together do not rise together. */
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
  /** Failures in a row, this one included. */
  readonly numFailures: number;
  readonly delayMs: number;
}

/** What ended, and what ended before it. */
export interface FinishedRun {
  /** Failures in a row before this run. */
  readonly numFailures: number;
  readonly uptimeMs: number;
  /** In [0, 1). */
  readonly random: number;
}

/** Decides when a process that ended unasked starts again. */
export function planRestart(policy: RestartPolicy, run: FinishedRun): Restart {
  const wasStable = run.uptimeMs >= policy.stableRunMs;
  const numFailures = wasStable ? 1 : run.numFailures + 1;
  const delay = policy.firstDelayMs * policy.factor ** (numFailures - 1);
  const bounded = Math.min(policy.maxDelayMs, delay);
  const delayMs = Math.round(bounded * (1 - policy.jitter * run.random));
  return { numFailures, delayMs };
}
