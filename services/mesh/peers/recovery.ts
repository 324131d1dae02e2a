/** Milliseconds between the end of a process and its next start, and until callers notice that. */
const RESTART_DELAY_MS = 600;

/** Milliseconds until a supervisor ends a process that was found silent. */
const SILENT_PROCESS_MS = 8000;

/** Milliseconds of an outage above which it tells nothing about the next one. */
const MAX_MEASURED_MS = 30_000;

/** Milliseconds that an estimate has at least, and at most. */
const MIN_ESTIMATE_MS = 200;
const MAX_ESTIMATE_MS = 60_000;

/**
 * Estimates how long a process is away: as long as its last outage, or as its last start took if
 * that is longer. Once it is later than that, half as long again as it has been away.
 */
export class Recovery {
  readonly #now: () => number;
  #startMs = 0;
  #outageMs = 0;
  #hasCome = false;
  #awaySinceMs: number | undefined;
  #isSilent = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes how long the process took to start, as it says itself. */
  tookToStart(ms: number): void {
    this.#startMs = ms;
  }

  came(): void {
    if (this.#awaySinceMs !== undefined && !this.#isSilent) {
      this.#outageMs = this.#now() - this.#awaySinceMs;
    }
    this.#hasCome = true;
    this.#awaySinceMs = undefined;
  }

  /** Notes that the process went away; a silent one has to be ended first. */
  went({ isSilent }: { readonly isSilent: boolean }): void {
    this.#awaySinceMs = this.#now();
    this.#isSilent = isSilent;
  }

  /**
   * Milliseconds until the process can probably be asked, counted from now if it is there; undefined
   * if it has never been there.
   */
  get expectedMs(): number | undefined {
    if (!this.#hasCome) return undefined;
    const silentMs = this.#awaySinceMs !== undefined && this.#isSilent ? SILENT_PROCESS_MS : 0;
    const measuredMs = Math.min(this.#outageMs, MAX_MEASURED_MS);
    const wholeMs = Math.max(this.#startMs + RESTART_DELAY_MS, measuredMs) + silentMs;
    const awayMs = this.#awaySinceMs === undefined ? 0 : this.#now() - this.#awaySinceMs;
    const leftMs = Math.max(wholeMs - awayMs, awayMs > wholeMs ? awayMs / 2 : 0);
    return Math.min(MAX_ESTIMATE_MS, Math.max(MIN_ESTIMATE_MS, leftMs));
  }
}

/** Returns when the first of several processes can probably be asked; undefined if none can. */
export function soonest(
  peers: readonly { readonly recoveryMs: number | undefined }[],
): number | undefined {
  const known = peers.flatMap(({ recoveryMs }) => recoveryMs ?? []);
  return known.length === 0 ? undefined : Math.min(...known);
}
