import type { Clock } from '#mesh/async/clock.ts';
import type { Suspect } from '#mesh/process/supervision.ts';

/** Milliseconds after which it is forgotten that content was in the step of a crashed process. */
const MEMORY_MS = 600_000;

/** Most entries; beyond them the oldest are forgotten. */
const MAX_SUSPECTS = 1000;

interface Entry {
  readonly numDeaths: number;
  readonly forget: () => void;
}

/** The content that was in the step of processes of one role when they crashed. */
export class Suspects {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(suspects: readonly Suspect[]) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get all(): readonly Suspect[] {
    return [...this.#entries].map(([key, { numDeaths }]) => ({ key, numDeaths }));
  }

  /** Calls `listener` with all suspects after every change. */
  onChange(listener: (suspects: readonly Suspect[]) => void): void {
    this.#listeners.add(listener);
  }

  /** Notes the content that was in the step of a process that crashed. */
  crashed(keys: readonly string[]): void {
    for (const key of keys) {
      const numDeaths = (this.#entries.get(key)?.numDeaths ?? 0) + 1;
      this.#remove(key);
      const forget = this.#clock.after(MEMORY_MS, () => this.cleared(key));
      this.#entries.set(key, { numDeaths, forget });
    }
    for (const key of [...this.#entries.keys()].slice(0, -MAX_SUSPECTS)) this.#remove(key);
    this.#changed();
  }

  /** Forgets content, because it has gone through a step or long ago. */
  cleared(key: string): void {
    this.#remove(key);
    this.#changed();
  }

  #remove(key: string): void {
    this.#entries.get(key)?.forget();
    this.#entries.delete(key);
  }

  #changed(): void {
    const { all } = this;
    for (const listener of this.#listeners) listener(all);
  }
}
