import assert from 'node:assert/strict';
import { type PlannedWork, startPlanned } from '#mesh/async/planned-work.ts';
import type { Semaphore } from '#mesh/async/semaphore.ts';
import type { ItemPlan, MediaEncoder } from '#native';
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
  readonly decoding: Semaphore;
  readonly resident: ResidentEncoder;
  readonly queue: EncoderBatchQueue;
}

export interface ReadItem {
  readonly reader: ItemReader;
  readonly contentHash: Uint8Array;
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
  { reader, contentHash }: ReadItem,
  stages: EncodingStages,
  { signal, onPlan }: EncodingCourse,
): Promise<FinishedItem> {
  const arrived = performance.now();
  return stages.decoding.run(signal, async () => {
    const admitted = performance.now();
    const opened = await reader.open(signal);
    const openMs = performance.now() - admitted;
    return stages.resident.use(signal, async (encoder) => {
      const plan = planItem(encoder, opened.facts);
      const { durationMs } = opened;
      onPlan({ plan, contentHash, durationMs });
      const loading = performance.now();
      const decoded = await opened.load(signal);
      const decodeUs = microseconds(openMs + performance.now() - loading);
      const { encoded, queueUs } = await stages.queue
        .encode(encoder, { ...decoded, grid: plan.grid }, signal)
        .catch(
          // Work stopped by its signal counts as interrupted, even if the engine reports another
          // error.
          (error: unknown) =>
            Promise.reject(signal.aborted ? signal.reason : fromEngineError(error)),
        );
      const { rows, preprocessUs, encodeUs } = encoded;
      const width = encoder.description.hiddenSize;
      assert(
        rows.length === plan.numRows * width,
        `${rows.length} values, plan ${plan.numRows} rows`,
      );
      const waitedUs = queueUs + microseconds(admitted - arrived);
      return {
        item: { plan, contentHash, durationMs, rows },
        timings: { queueUs: waitedUs, decodeUs, preprocessUs, encodeUs },
      };
    });
  });
}

function planItem(encoder: MediaEncoder, facts: Parameters<MediaEncoder['plan']>[0]): ItemPlan {
  try {
    return encoder.plan(facts);
  } catch (error: unknown) {
    throw fromEngineError(error);
  }
}

function microseconds(ms: number): number {
  return Math.round(ms * 1000);
}
