import assert from 'node:assert/strict';
import { type PlannedWork, startPlanned } from '#mesh/async/planned-work.ts';
import type { RowPool } from '#mesh/encode/row-pool.ts';
import type { DecodedItem, ItemPlan, MediaEncoder } from '#native';
import type { DecoderPool } from './decoding/decoder-pool.ts';
import type { FairSlots } from './decoding/fair-slots.ts';
import type { EncoderBatchQueue } from './encoder-batch-queue.ts';
import type { EmbeddedItem } from './encoder-cache.ts';
import { fromEngineError } from './engine-error.ts';
import type { ItemReader } from './media-reader.ts';
import type { ResidentEncoder } from './resident-encoder.ts';

/** The facts about an item that are known before the tower runs. */
export interface PlannedItem {
  readonly plan: ItemPlan;
  readonly contentHash: Uint8Array;
  readonly durationMs: number;
}

/** Time an item spent in each stage, in microseconds. */
export interface ItemTimings {
  readonly queueUs: number;
  readonly decodeUs: number;
  readonly preprocessUs: number;
  readonly encodeUs: number;
}

export interface FinishedItem {
  readonly item: EmbeddedItem;
  readonly timings: ItemTimings;
}

/** The way of one item from its bytes to its rows; every call that asks for the item watches it. */
export type ItemEncoding = PlannedWork<PlannedItem, FinishedItem>;

/** The stages that items pass through. */
export interface EncodingStages {
  /** Bounds the items that are decoded but not encoded, because pixels take much memory. */
  readonly decoding: FairSlots;
  readonly decoders: DecoderPool;
  readonly resident: ResidentEncoder;
  readonly queue: EncoderBatchQueue;
}

export interface ReadItem {
  /** Who wants it; stages are shared out between clients. */
  readonly client: string;
  /** Name of the request that the item belongs to; "": none. */
  readonly requestId: string;
  readonly reader: ItemReader;
  readonly contentHash: Uint8Array;
  /** Where its rows go if there is room; undefined: to memory of the host. */
  readonly pool: RowPool | undefined;
}

/** Starts decoding, planning and encoding an item whose bytes have all arrived. */
export function startEncoding(
  received: ReadItem,
  stages: EncodingStages,
  signal: AbortSignal,
): ItemEncoding {
  return startPlanned((onPlan) => encodeItem(received, stages, { signal, onPlan }));
}

interface EncodingCourse {
  readonly signal: AbortSignal;
  readonly onPlan: (planned: PlannedItem) => void;
}

async function encodeItem(
  item: ReadItem,
  stages: EncodingStages,
  course: EncodingCourse,
): Promise<FinishedItem> {
  const arrived = performance.now();
  const { client, requestId } = item;
  const { signal } = course;
  return stages.decoding.run({ client, requestId, signal }, async () => {
    const waitedUs = microseconds(performance.now() - arrived);
    return stages.resident.use(signal, async (encoder) => {
      const { decoded, planned, decodeUs } = await decodeItem(item, encoder, { stages, course });
      const { numRows, grid } = planned.plan;
      const numValues = numRows * encoder.description.hiddenSize;
      const lease = item.pool?.take(numValues * Float32Array.BYTES_PER_ELEMENT);
      const { encoded, queueUs } = await stages.queue
        .encode(
          encoder,
          {
            ...decoded,
            grid,
            contentKey: hex(item.contentHash),
            client,
            ...(lease && { poolOffset: lease.offset }),
          },
          signal,
        )
        .catch((error: unknown) => {
          lease?.release();
          // Work stopped by its signal counts as interrupted, even if the engine reports another
          // error.
          throw signal.aborted ? signal.reason : fromEngineError(error);
        });
      const { rows, shared, preprocessUs, encodeUs } = encoded;
      const timings = { queueUs: queueUs + waitedUs, decodeUs, preprocessUs, encodeUs };
      if (lease !== undefined) return { item: { ...planned, kind: 'pooled', lease }, timings };
      assert(rows.length === numValues, `${rows.length} values, plan ${numRows} rows`);
      const host = { rows, ...(shared && { shared }) };
      return { item: { ...planned, kind: 'host', host }, timings };
    });
  });
}

interface DecodedPlan {
  readonly decoded: DecodedItem;
  readonly planned: PlannedItem;
  readonly decodeUs: number;
}

/** Opens an item, plans it and decodes it; its decoder is free afterwards. */
async function decodeItem(
  { reader, contentHash, client, requestId }: ReadItem,
  encoder: MediaEncoder,
  { stages, course }: { readonly stages: EncodingStages; readonly course: EncodingCourse },
): Promise<DecodedPlan> {
  const { signal, onPlan } = course;
  let decodeMs = -performance.now();
  const asker = { client, requestId, signal };
  const opened = await reader.open((bytes) => stages.decoders.open(bytes, asker));
  try {
    decodeMs += performance.now();
    const { durationMs, facts } = opened;
    const planned = { plan: planItem(encoder, facts), contentHash, durationMs };
    onPlan(planned);
    decodeMs -= performance.now();
    const decoded = await opened.load();
    decodeMs += performance.now();
    return { decoded, planned, decodeUs: microseconds(decodeMs) };
  } finally {
    opened.close();
  }
}

function planItem(encoder: MediaEncoder, facts: Parameters<MediaEncoder['plan']>[0]): ItemPlan {
  try {
    return encoder.plan(facts);
  } catch (error: unknown) {
    throw fromEngineError(error);
  }
}

function hex(contentHash: Uint8Array): string {
  return Buffer.from(contentHash).toString('hex');
}

function microseconds(ms: number): number {
  return Math.round(ms * 1000);
}
