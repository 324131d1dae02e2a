import type { SimulatedBackbone } from './backbone.ts';

/** How one window of time went. */
interface Window {
  /** Most requests that one backbone was sent for its weight, over the mean. */
  readonly requests: number;
  /** Most work of unfinished requests at one for its weight, averaged over time, over the mean. */
  readonly work: number;
}

interface Sum {
  readonly numAskedBefore: number;
  workSamples: number;
}

/**
 * Compares the backbones with each other in windows of time. Only those count that run during a
 * whole window.
 */
export class Tally {
  readonly windows: Window[] = [];
  #sums = new Map<SimulatedBackbone, Sum>();

  /** Looks at the work inside the backbones. */
  sample(): void {
    for (const [backbone, sum] of this.#sums) sum.workSamples += backbone.numUnfinishedTokens;
  }

  /** Ends a window, if one has begun, and begins the next one with these backbones. */
  nextWindow(backbones: readonly SimulatedBackbone[]): void {
    const whole = [...this.#sums].filter(([{ state }]) => state === 'running');
    if (whole.length > 0) {
      const asked = whole.map(([{ numAsked, weight }, { numAskedBefore }]) => {
        return (numAsked - numAskedBefore) / weight;
      });
      const work = whole.map(([{ weight }, { workSamples }]) => workSamples / weight);
      this.windows.push({ requests: maxOverMean(asked), work: maxOverMean(work) });
    }
    const running = backbones.filter(({ state }) => state === 'running');
    const fresh = ({ numAsked }: SimulatedBackbone) => ({
      numAskedBefore: numAsked,
      workSamples: 0,
    });
    this.#sums = new Map(running.map((one) => [one, fresh(one)]));
  }
}

function maxOverMean(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.max(...values) / mean;
}
