import assert from 'node:assert/strict';
import type { Clock } from '#mesh/async/clock.ts';
import { FairShares } from '#mesh/fairness/fair-shares.ts';
import type { Quarantine } from '#mesh/process/quarantine.ts';
import type { StepWatchdog } from '#mesh/process/step-watchdog.ts';
import type { EncodedItem, EncoderItem, MediaEncoder } from '#native';
import { type BatchLimits, decideBatch } from './encoder-batch-policy.ts';

/** An encoded item and how long it waited for its batch. */
export interface BatchedItem {
  readonly encoded: EncodedItem;
  readonly queueUs: number;
}

/** A decoded item, the hex hash of its content, and who wants it. */
export type KeyedItem = EncoderItem & { readonly contentKey: string; readonly client: string };

interface WaitingItem {
  readonly encoder: MediaEncoder;
  readonly item: KeyedItem;
  readonly signal: AbortSignal;
  readonly arrivedMs: number;
  readonly resolve: (item: BatchedItem) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchQueueOptions {
  /** Limits without `maxCells`, which the tower decides. */
  readonly limits: Omit<BatchLimits, 'maxCells'>;
  readonly clock: Clock;
  readonly quarantine: Quarantine;
  readonly watchdog: StepWatchdog;
  /** Called when the tower stands still, after which nothing is encoded. */
  readonly onDeath: (why: unknown) => void;
  /** Called with the size of each batch that starts. */
  readonly onBatch: (numItems: number) => void;
}

/** Gathers decoded items into batches for the tower, whose cells are shared out between clients. */
export class EncoderBatchQueue {
  readonly #options: BatchQueueOptions;
  /** In order of arrival. */
  readonly #waiting: WaitingItem[] = [];
  /** Cells that were encoded for each client that has items here. */
  readonly #shares = new FairShares();
  #isRunning = false;
  /** Why nothing is encoded any more; undefined while the tower computes. */
  #death: unknown;
  #callOff = () => {};

  constructor(options: BatchQueueOptions) {
    this.#options = options;
  }

  get numWaiting(): number {
    return this.#waiting.length;
  }

  /** Encodes one item in the next batch with room; an abort removes it while it waits. */
  encode(encoder: MediaEncoder, item: KeyedItem, signal: AbortSignal): Promise<BatchedItem> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#death !== undefined) return reject(this.#death);
      const arrivedMs = this.#options.clock.now();
      const waiting = { encoder, item, signal, arrivedMs, resolve, reject };
      this.#waiting.push(waiting);
      this.#shares.join(item.client);
      signal.addEventListener('abort', () => this.#withdraw(waiting), { once: true });
      this.#advance();
    });
  }

  #withdraw(item: WaitingItem): void {
    const index = this.#waiting.indexOf(item);
    if (index === -1) return;
    this.#waiting.splice(index, 1);
    this.#shares.leave(item.item.client);
    item.reject(item.signal.reason);
    this.#advance();
  }

  #advance(): void {
    const { clock, limits, quarantine } = this.#options;
    this.#callOff();
    this.#callOff = () => {};
    const nowMs = clock.now();
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    const state = {
      waiting: this.#waiting.map((waiting) => ({
        waiting,
        client: waiting.item.client,
        numCells: numCells(waiting.item),
        isSuspect: quarantine.isSuspect(waiting.item.contentKey),
      })),
      servedTo: (client: string) => this.#shares.servedTo(client),
      oldestMs: oldest.arrivedMs,
      isRunning: this.#isRunning,
    };
    const maxCells = oldest.encoder.description.maxBatchCells;
    const decision = decideBatch(state, { ...limits, maxCells }, { nowMs });
    if (decision.kind === 'wait') {
      this.#callOff = clock.after(decision.untilMs - nowMs, () => this.#advance());
    } else if (decision.kind === 'run') {
      void this.#run(decision.items.map(({ waiting }) => this.#take(waiting)));
    }
  }

  /** Takes an item into a batch. */
  #take(waiting: WaitingItem): WaitingItem {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    this.#shares.charge(waiting.item.client, numCells(waiting.item));
    return waiting;
  }

  /** Runs a batch. Never rejects: each item gets its own outcome. */
  async #run(batch: readonly WaitingItem[]): Promise<void> {
    const { clock, onBatch, quarantine, watchdog } = this.#options;
    const keys = batch.map(({ item }) => item.contentKey);
    const size = batch.reduce((sum, { item }) => sum + numCells(item), 0);
    this.#isRunning = true;
    const startedMs = clock.now();
    onBatch(batch.length);
    quarantine.enter(keys);
    const outcomes = Promise.allSettled(
      startBatch(batch).map(async (outcome, i) => {
        const item = batch[i];
        assert(item !== undefined, 'a tower answers once for each item');
        const queueUs = Math.round((startedMs - item.arrivedMs) * 1000);
        await outcome.then((encoded) => item.resolve({ encoded, queueUs }), item.reject);
      }),
    );
    try {
      await watchdog.watch(size, outcomes);
    } catch (error: unknown) {
      this.#die(batch, error);
      return;
    }
    quarantine.enter([]);
    for (const key of keys) quarantine.clear(key);
    for (const { item } of batch) this.#shares.leave(item.client);
    this.#isRunning = false;
    this.#advance();
  }

  /** Fails the batch that stands still, and all that wait. */
  #die(batch: readonly WaitingItem[], why: unknown): void {
    this.#death = why;
    for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(why);
    this.#options.onDeath(why);
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
