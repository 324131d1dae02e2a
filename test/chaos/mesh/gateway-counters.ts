import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from './instance.ts';

/** Time between two looks at a gateway, ms. */
const LOOK_MS = 1000;
/** Longest wait for the metrics: a gateway waits two seconds for processes that do not answer. */
const SCRAPE_BOUND_MS = 5000;

/** Counters that are read, by the names under which they are reported. */
const COUNTERS = {
  retried: 'autoglm:gateway_retries_total',
  resumed: 'autoglm:gateway_resumes_total',
} as const;
export type CounterName = keyof typeof COUNTERS;
export type Counts = Readonly<Record<CounterName, number>>;

const NONE: Counts = { retried: 0, resumed: 0 };

/**
 * Reads the gateways' counters from their metrics again and again. A gateway that is killed begins
 * at zero, and what it counted since the last look is not known.
 */
export class GatewayCounters {
  readonly #closing = new AbortController();
  readonly #lives = new Map<string, Counts>();
  readonly #following: Promise<unknown>;
  #pastLives: Counts = NONE;

  constructor(gateways: readonly Instance[]) {
    this.#following = Promise.all(gateways.map((gateway) => this.#follow(gateway)));
  }

  /** Counts of all gateways, those that are gone included. */
  get counts(): Counts {
    return [...this.#lives.values()].reduce(sum, this.#pastLives);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#following;
  }

  async #follow({ address }: Instance): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const counts = await scrape(address);
      if (counts !== undefined) this.#note(address, counts);
      await delay(LOOK_MS, undefined, { signal }).catch(ignoreAbort);
    }
  }

  #note(address: string, counts: Counts): void {
    const before = this.#lives.get(address) ?? NONE;
    const isAnother = counts.retried < before.retried || counts.resumed < before.resumed;
    if (isAnother) this.#pastLives = sum(this.#pastLives, before);
    this.#lives.set(address, counts);
  }
}

function sum(a: Counts, b: Counts): Counts {
  return { retried: a.retried + b.retried, resumed: a.resumed + b.resumed };
}

async function scrape(address: string): Promise<Counts | undefined> {
  try {
    const signal = AbortSignal.timeout(SCRAPE_BOUND_MS);
    const text = await (await fetch(`http://${address}/metrics`, { signal })).text();
    return { retried: read(text, COUNTERS.retried), resumed: read(text, COUNTERS.resumed) };
  } catch {
    // It is away; it is asked again.
    return undefined;
  }
}

/** Sums a metric's samples; 0 if it has none yet. */
function read(text: string, metric: string): number {
  const samples = text.matchAll(new RegExp(`^${metric}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...samples].reduce((total, [, value]) => total + Number(value), 0);
}

/** The wait is broken off only at the end. */
function ignoreAbort(): void {}
