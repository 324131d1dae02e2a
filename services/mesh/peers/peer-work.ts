/** Part of a surge that is left at the next report. */
const SURGE_KEPT = 0.98;

/** Rise of a peer's work that may be ordinary, tokens. */
const ORDINARY_RISE = 4096;

/**
 * Tells whether a peer's work has risen so much since it was told of, in tokens, that who knows no
 * better would send it far too much.
 */
export function isMisleading({ told, work }: { readonly told: number; readonly work: number }) {
  return work - told > Math.max(ORDINARY_RISE, told);
}

/**
 * Estimates the work inside a peer, in tokens: what it has reported, changed by what this process
 * has sent and seen end since.
 */
export class PeerWork {
  #own = 0;
  #reported = 0;
  #ownAtReport = 0;
  #reportedMs: number | undefined;
  /** Shortest time from one report in turn to the next, milliseconds. */
  #intervalMs = Infinity;
  #surge = 0;

  /** Work that this process has sent and that has not ended. */
  get own(): number {
    return this.#own;
  }

  get total(): number {
    return Math.max(this.#own, this.#reported + this.#own - this.#ownAtReport);
  }

  /**
   * Most work that others have added from one report to the next, in tokens, or would have added if
   * that had not come out of turn; it fades with each report. 0 if all work is this process's.
   */
  get surge(): number {
    return this.#surge;
  }

  begin(work: number): void {
    this.#own += work;
  }

  end(work: number): void {
    this.#own -= work;
  }

  /** Forgets what was reported: the peer is away, and may come back without it. */
  forget(): void {
    this.#reported = 0;
    this.#ownAtReport = this.#own;
    this.#reportedMs = undefined;
  }

  /** Notes what the peer says of itself, at a time in milliseconds. */
  report(work: number, atMs: number): void {
    const added = work - this.#reported - (this.#own - this.#ownAtReport);
    const scale = this.#scaleOf(work, atMs);
    this.#surge = Math.max(added * scale, this.#surge * SURGE_KEPT);
    this.#reported = work;
    this.#ownAtReport = this.#own;
    this.#reportedMs = atMs;
  }

  /** Returns how much sooner a report came than the usual one, as a factor of at least 1. */
  #scaleOf(work: number, atMs: number): number {
    if (this.#reportedMs === undefined) return 1;
    const elapsedMs = Math.max(1, atMs - this.#reportedMs);
    if (!isMisleading({ told: this.#reported, work })) {
      this.#intervalMs = Math.min(elapsedMs, this.#intervalMs / SURGE_KEPT);
      return 1;
    }
    return this.#intervalMs === Infinity ? 1 : Math.max(1, this.#intervalMs / elapsedMs);
  }
}
