/** Weight of the last step in the mean of its size class. */
const LAST_WEIGHT = 1 / 8;

/** One step that has come to its end. */
export interface MeasuredStep {
  /** Its tokens or cells, at least 1. */
  readonly size: number;
  readonly ms: number;
}

/**
 * Learns how long steps take. Steps from 2^c up to 2^(c+1) - 1 tokens are one class, because the
 * time of a token falls as a step holds more of them.
 */
export class StepPace {
  /** Mean milliseconds of a token, by class. */
  readonly #msEach: number[] = [];

  note({ size, ms }: MeasuredStep): void {
    const index = classOf(size);
    const mean = this.#msEach[index] ?? ms / size;
    this.#msEach[index] = mean + LAST_WEIGHT * (ms / size - mean);
  }

  /**
   * Returns the milliseconds that a step of this size takes, by the pace of its class or of the
   * nearest smaller one, which is slower; undefined if neither was measured.
   */
  expectedMs(size: number): number | undefined {
    for (let index = classOf(size); index >= 0; index--) {
      const each = this.#msEach[index];
      if (each !== undefined) return each * size;
    }
    return undefined;
  }
}

function classOf(size: number): number {
  return 31 - Math.clz32(size);
}
