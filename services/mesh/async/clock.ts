/** A source of time and timers, so that policies with timers are tested without waiting. */
export interface Clock {
  /** Returns milliseconds since some fixed instant; never falls. */
  now(): number;
  /** Runs `action` once, in `ms` milliseconds; returns a function that cancels it. */
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
