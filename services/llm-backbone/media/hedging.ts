import { release } from '#backbone/engine/row-source.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { RetryBudget } from '#mesh/balance/retry-budget.ts';
import { mayRetryElsewhere } from '#mesh/peers/attempts.ts';
import type { AskedPeer, Turn } from '#mesh/peers/turn.ts';
import { EncodeTimes } from './encode-times.ts';
import type { GatheredEmbedding } from './gather-embedding.ts';

/** Items for each that a second encoder may be asked for, on the average. */
const ITEMS_PER_HEDGE = 20;

/**
 * How a hedge ended: its answer came first, the other's came first, or neither came.
 */
export type HedgeResult = 'won' | 'lost' | 'failed';

/** The rows of an item on their way from one encoder. */
export interface EncodeCall {
  readonly turn: Turn<AskedPeer>;
  readonly rows: Promise<GatheredEmbedding>;
}

/** The calls for one item. */
export interface HedgedItem {
  readonly first: EncodeCall;
  /** Asks a second encoder; undefined if there is none to be asked. */
  readonly second: () => EncodeCall | undefined;
}

export interface HedgingOptions {
  readonly clock: Clock;
  readonly onEnd: (result: HedgeResult) => void;
}

/**
 * Asks a second encoder for an item that takes longer than 95 % of the last ones, and takes the
 * answer that is complete first. At most one item in twenty is asked for twice, so that encoders
 * that are all slow get little more work. Source: Dean and Barroso, "The tail at scale", 2013.
 */
export class Hedging {
  readonly #options: HedgingOptions;
  readonly #times = new EncodeTimes();
  readonly #budget = new RetryBudget({ requestsPerRetry: ITEMS_PER_HEDGE, numSaved: 0 });

  constructor(options: HedgingOptions) {
    this.#options = options;
  }

  /** Notes an item, which pays for a part of a hedge. */
  itemCame(): void {
    this.#budget.deposit();
  }

  /** Resolves with an item's rows; rejects with the failure of the first call if none has them. */
  async rowsOf({ first, second }: HedgedItem): Promise<GatheredEmbedding> {
    const { clock } = this.#options;
    const startMs = clock.now();
    void this.#sample(first, startMs);
    const limitMs = this.#times.p95Ms;
    if (limitMs === undefined || !(await isLate(first.rows, { limitMs, clock }))) return first.rows;
    const hedge = this.#budget.isSpent ? undefined : second();
    if (hedge === undefined) return first.rows;
    this.#budget.withdraw();
    void this.#sample(hedge, clock.now());
    return this.#firstOf(first, hedge);
  }

  async #firstOf(first: EncodeCall, hedge: EncodeCall): Promise<GatheredEmbedding> {
    let result: HedgeResult = 'failed';
    try {
      const { rows, call } = await firstComplete(first, hedge);
      result = call === hedge ? 'won' : 'lost';
      return rows;
    } finally {
      const unused = result === 'won' ? first : hedge;
      unused.turn.cancel();
      // It may have had its rows by then.
      unused.rows.then(
        ({ embedding }) => release(embedding),
        () => {},
      );
      this.#options.onEnd(result);
    }
  }

  /**
   * Notes how long an encode took. One that was given up for a hedge took at least that long; rows
   * from an encoder's cache tell nothing.
   */
  async #sample(call: EncodeCall, startMs: number): Promise<void> {
    const elapsedMs = () => this.#options.clock.now() - startMs;
    try {
      const { cacheHit } = await call.rows;
      if (!cacheHit) this.#times.add(elapsedMs());
    } catch {
      if (call.turn.isCancelled) this.#times.add(elapsedMs());
    }
  }
}

/** Tells whether a call is still running when the limit has passed. */
function isLate(
  call: Promise<unknown>,
  { limitMs, clock }: { readonly limitMs: number; readonly clock: Clock },
): Promise<boolean> {
  return new Promise((resolve) => {
    const callOff = clock.after(limitMs, () => resolve(true));
    const onEnd = () => {
      callOff();
      resolve(false);
    };
    call.then(onEnd, onEnd);
  });
}

interface Complete {
  readonly call: EncodeCall;
  readonly rows: GatheredEmbedding;
}

/**
 * Resolves with the rows that are complete first. Rejects with the first call's failure if both
 * fail, or at once if no other encoder could help.
 */
async function firstComplete(first: EncodeCall, hedge: EncodeCall): Promise<Complete> {
  const hedged = hedge.rows.then((rows) => ({ call: hedge, rows }));
  const either = first.rows.then(
    (rows) => ({ call: first, rows }),
    (error: unknown) => {
      const failure = first.turn.failed(error);
      if (!mayRetryElsewhere(failure)) throw failure;
      return hedged.catch(() => {
        throw failure;
      });
    },
  );
  return await Promise.race([either, hedged.catch(() => either)]);
}
