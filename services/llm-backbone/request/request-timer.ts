import type { RequestTimes } from '#backbone/engine/backbone-metrics.ts';

import type { Stages } from '#mesh/trace/stages.ts';

export interface RequestTimerOptions {
  readonly arrivalMs: number;
  /** Monotonic time, milliseconds. */
  readonly now: () => number;
}

/** Notes the times of the events of one request. */
export class RequestTimer {
  readonly #options: RequestTimerOptions;
  #queuedMs = 0;
  #scheduledMs: number | null = null;
  #firstTokenMs: number | null = null;
  #lastTokenMs: number | null = null;
  /** Time of each choice's last token; no entry before its first. */
  readonly #choiceTokenMs = new Map<number, number>();

  constructor(options: RequestTimerOptions) {
    this.#options = options;
  }

  queued(): void {
    this.#queuedMs = this.#options.now();
  }

  scheduled(): void {
    this.#scheduledMs = this.#options.now();
  }

  /** Notes a token of a choice; returns the time since the previous one, null for the first. */
  tokenCame(choice: number): number | null {
    const now = this.#options.now();
    const previous = this.#choiceTokenMs.get(choice);
    this.#choiceTokenMs.set(choice, now);
    this.#firstTokenMs ??= now;
    this.#lastTokenMs = now;
    return previous === undefined ? null : now - previous;
  }

  /** Time in the queue, milliseconds; 0 if the request never left it. */
  get queueMs(): number {
    return this.#scheduledMs === null ? 0 : this.#scheduledMs - this.#queuedMs;
  }

  /** Time to the first token, milliseconds; 0 if there is none. */
  get ttftMs(): number {
    return this.#firstTokenMs === null ? 0 : this.#firstTokenMs - this.#options.arrivalMs;
  }

  /** Notes the stages of a request that ends: until it was queued, and how far it came from there. */
  noteStages(stages: Stages): void {
    const endMs = this.#options.now();
    const times = [
      ['prompt', this.#options.arrivalMs],
      ['queue', this.#queuedMs],
      ['prefill', this.#scheduledMs],
      ['decode', this.#firstTokenMs],
    ] as const;
    for (const [at, [name, startMs]] of times.entries()) {
      if (startMs !== null) stages.note({ name }, startMs, times[at + 1]?.[1] ?? endMs);
    }
  }

  /** Returns all times of a request that ends. */
  ended(): RequestTimes {
    return {
      arrivalMs: this.#options.arrivalMs,
      queuedMs: this.#queuedMs,
      scheduledMs: this.#scheduledMs,
      firstTokenMs: this.#firstTokenMs,
      lastTokenMs: this.#lastTokenMs,
      endMs: this.#options.now(),
    };
  }
}
