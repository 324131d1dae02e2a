import assert from 'node:assert/strict';
import type { Clock } from '#mesh/async/clock.ts';
import type { EncodedItem, EncoderItem, MediaEncoder } from '#native';
import { type BatchLimits, decideBatch } from './encoder-batch-policy.ts';

/** An encoded item and how long it waited for its batch. */
export interface BatchedItem {
  readonly encoded: EncodedItem;
  readonly queueUs: number;
}

interface WaitingItem {
  readonly encoder: MediaEncoder;
  readonly item: EncoderItem;
  readonly signal: AbortSignal;
  readonly arrivedMs: number;
  readonly resolve: (item: BatchedItem) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchQueueOptions {
  /** Limits without `maxCells`, which the tower decides. */
  readonly limits: Omit<BatchLimits, 'maxCells'>;
  readonly clock: Clock;
  /** Called with the size of each batch that starts. */
  readonly onBatch: (numItems: number) => void;
}

/** Gathers decoded items into batches for the tower, first come first served. */
export class EncoderBatchQueue {
  readonly #options: BatchQueueOptions;
  #waiting: WaitingItem[] = [];
  #isRunning = false;
  #callOff = () => {};

  constructor(options: BatchQueueOptions) {
    this.#options = options;
  }

  get numWaiting(): number {
    return this.#waiting.length;
  }

  /** Encodes one item in the next batch with room; an abort removes it while it waits. */
  encode(encoder: MediaEncoder, item: EncoderItem, signal: AbortSignal): Promise<BatchedItem> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const arrivedMs = this.#options.clock.now();
      const waiting = { encoder, item, signal, arrivedMs, resolve, reject };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', () => this.#withdraw(waiting), { once: true });
      this.#advance();
    });
  }

  #withdraw(item: WaitingItem): void {
    const index = this.#waiting.indexOf(item);
    if (index === -1) return;
    this.#waiting.splice(index, 1);
    item.reject(item.signal.reason);
    this.#advance();
  }

  #advance(): void {
    const { clock, limits } = this.#options;
    this.#callOff();
    this.#callOff = () => {};
    const nowMs = clock.now();
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    const state = {
      waitingCells: this.#waiting.map(({ item }) => numCells(item)),
      oldestMs: oldest.arrivedMs,
      isRunning: this.#isRunning,
    };
    const maxCells = oldest.encoder.description.maxBatchCells;
    const decision = decideBatch(state, { ...limits, maxCells }, { nowMs });
    if (decision.kind === 'wait') {
      this.#callOff = clock.after(decision.untilMs - nowMs, () => this.#advance());
    } else if (decision.kind === 'run') {
      void this.#run(this.#waiting.splice(0, decision.numItems));
    }
  }

  /** Runs a batch. Never rejects: each item gets its own outcome. */
  async #run(batch: readonly WaitingItem[]): Promise<void> {
    const { clock, onBatch } = this.#options;
    this.#isRunning = true;
    const startedMs = clock.now();
    onBatch(batch.length);
    await Promise.allSettled(
      startBatch(batch).map(async (outcome, i) => {
        const item = batch[i];
        assert(item !== undefined, 'a tower answers once for each item');
        const queueUs = Math.round((startedMs - item.arrivedMs) * 1000);
        await outcome.then((encoded) => item.resolve({ encoded, queueUs }), item.reject);
      }),
    );
    this.#isRunning = false;
    this.#advance();
  }
}

function numCells({ grid: { t, h, w } }: EncoderItem): number {
  return t * h * w;
}

/**
 * Starts the items of a batch; they have one encoder, which stays loaded while any of them waits.
 */
function startBatch(batch: readonly WaitingItem[]): readonly Promise<EncodedItem>[] {
  const encoder = batch[0]?.encoder;
  assert(encoder !== undefined, 'a batch has an item');
  try {
    return encoder.encode(
      batch.map(({ item }) => item),
      { signals: batch.map(({ signal }) => signal) },
    );
  } catch (error: unknown) {
    return batch.map(() => Promise.reject(error));
  }
}
