// Doubles of the parts of an encoder service; each records the calls to it, in order.

import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { KeyedItem } from '#encoder/encoder-batch-queue.ts';
import {
  type EncodedItem,
  type EncoderDescription,
  type EncoderItem,
  EngineError,
  type HostRows,
  type ItemFacts,
  type ItemPlan,
  type MediaEncoder,
  type RowPlace,
  shareBytes,
} from '#native';
import { within } from '#test/bounded.ts';

/** Lets everything that waits for settled promises run. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await setImmediate();
}

/** Waits until a condition becomes true through other work in this process or over a socket. */
export async function until(
  holds: () => boolean,
  trace: () => readonly string[] = () => [],
): Promise<void> {
  let isLate = false;
  const look = async () => {
    while (!holds() && !isLate) await settled();
  };
  try {
    await within(look(), { what: String(holds), trace });
  } finally {
    isLate = true;
  }
}

export const HIDDEN_SIZE = 8;

interface PendingItem {
  readonly item: EncoderItem;
  readonly resolve: (item: EncodedItem) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A tower that gives as many rows as an item has pixels over 64, or samples over 1000 (at least one),
 * each value the item's first byte or sample. It waits for `release` when `isHeld`.
 */
export class FakeEncoder implements MediaEncoder {
  readonly trace: string[] = [];
  readonly description: EncoderDescription;
  isHeld = false;
  /** Whether its rows are in shared memory. */
  isSharing = false;
  /** Rows in its row pool, by the byte at which they begin. */
  readonly pooled = new Map<number, Float32Array>();
  #pending: PendingItem[] = [];

  /** With `rowPool`, it keeps rows there whose item says so. */
  constructor(
    modality: 'image' | 'audio' = 'image',
    { rowPool = null }: Partial<Pick<EncoderDescription, 'rowPool'>> = {},
  ) {
    this.description = {
      modality,
      modelType: 'fake',
      hiddenSize: HIDDEN_SIZE,
      weightDtype: 'float32',
      quantization: '',
      weightBytes: 1,
      weightsCache: null,
      unusedSettings: [],
      loadMs: 1,
      sampleRateHz: modality === 'audio' ? 16_000 : 0,
      maxRows: 100_000,
      maxBatchCells: 8192,
      rowPool,
      rowPoolRefusal: '',
    };
  }

  plan(facts: ItemFacts): ItemPlan {
    if (facts.kind === 'audio') {
      const numRows = Math.max(1, Math.floor(facts.numSamples / 1000));
      return { numRows, grid: { t: numRows, h: 1, w: 1 } };
    }
    const { width: w, height: h } = facts;
    if (Math.max(w / h, h / w) > 200) {
      throw new EngineError('INVALID_REQUEST', `aspect ratio of ${w}×${h} exceeds 200:1`);
    }
    return { numRows: Math.max(1, Math.floor((w * h) / 64)), grid: { t: 1, h, w } };
  }

  encode(
    items: readonly EncoderItem[],
    options: { readonly signals?: readonly (AbortSignal | undefined)[] } = {},
  ): readonly Promise<EncodedItem>[] {
    this.trace.push(`encode ${items.length}`);
    return items.map((item, i) => {
      const signal = options.signals?.[i];
      return new Promise<EncodedItem>((resolve, reject) => {
        signal?.addEventListener('abort', () => {
          this.trace.push('abort');
          reject(new EngineError('ENGINE_FAILED', 'stopped by its signal'));
        });
        if (this.isHeld) this.#pending.push({ item, resolve, reject });
        else resolve(this.#encode(item));
      });
    });
  }

  /** Ends the items that are held. */
  release(): void {
    for (const { item, resolve } of this.#pending.splice(0)) resolve(this.#encode(item));
  }

  /** Fails one of the items that are held. */
  fail(index: number, error: unknown): void {
    const [failing] = this.#pending.splice(index, 1);
    assert.ok(failing !== undefined, `item ${index} is held`);
    failing.reject(error);
  }

  async readRows({ poolOffset, numRows }: RowPlace): Promise<HostRows> {
    this.trace.push(`read ${numRows} rows at ${poolOffset}`);
    const rows = this.pooled.get(poolOffset);
    assert.ok(rows !== undefined, `there are rows at ${poolOffset}`);
    return this.#hostRows(rows);
  }

  async close(): Promise<void> {
    this.trace.push('close');
  }

  #encode(item: EncoderItem): EncodedItem {
    const plan = this.plan(factsOf(item));
    const value = (item.kind === 'image' ? item.rgb[0] : item.samples[0]) ?? 0;
    const rows = new Float32Array(plan.numRows * HIDDEN_SIZE).fill(value);
    const facts = { plan, preprocessUs: 20, encodeUs: 300 };
    if (item.poolOffset === undefined) return { ...this.#hostRows(rows), ...facts };
    this.pooled.set(item.poolOffset, rows);
    return { rows: new Float32Array(0), ...facts };
  }

  #hostRows(rows: Float32Array): HostRows {
    if (!this.isSharing) return { rows };
    const { bytes, shared } = shareBytes(new Uint8Array(rows.slice().buffer));
    return { rows: new Float32Array(bytes.buffer, 0, rows.length), shared };
  }
}

function factsOf(item: EncoderItem): ItemFacts {
  return item.kind === 'image'
    ? { ...item, options: { maxPixels: null, minPixels: null, maxPixelsMode: 'ignore' } }
    : { kind: 'audio', numSamples: item.samples.length, sampleRateHz: item.sampleRateHz };
}

/** Makes an image of one colour, which a client wants. */
export function grayImage(value: number, client = ''): KeyedItem {
  return {
    kind: 'image',
    rgb: new Uint8Array(8 * 8 * 3).fill(value),
    width: 8,
    height: 8,
    grid: { t: 1, h: 8, w: 8 },
    contentKey: String(value),
    client,
  };
}
