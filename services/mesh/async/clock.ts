/** Time as a collaborator, so that policies with timers are tested without waiting. */
export interface Clock {
  /** Milliseconds since some fixed instant; never falls. */
  now(): number;
  /** Runs `action` once, `ms` from now; returns what calls it off. */
  after(ms: number, action: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, action) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

/** A clock whose timers do not keep the process alive. */
export const backgroundClock: Clock = {
  now: systemClock.now,
  after: (ms, action) => {
    const timer = setTimeout(action, ms).unref();
    return () => clearTimeout(timer);
  },
};
