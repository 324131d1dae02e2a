// Loads a model in a worker and keeps it busy, until the worker is ended from outside. Its data is a
// BusyWork; it says "loaded" when the model is and the first work has begun.
import { parentPort, workerData } from 'node:worker_threads';
import {
  type DecoderOptions,
  type EncoderOptions,
  type ImageOptions,
  loadDecoder,
  loadEncoder,
} from '#native';
import { PagedSequence, planOf } from './paged-sequence.ts';

export type BusyWork =
  | { readonly kind: 'steps'; readonly options: DecoderOptions }
  | {
      readonly kind: 'pictures';
      readonly options: EncoderOptions;
      readonly size: { readonly width: number; readonly height: number };
      readonly bounds: ImageOptions;
    };

const work: BusyWork = workerData;
if (work.kind === 'steps') {
  const decoder = await loadDecoder(work.options);
  const sequence = new PagedSequence(new Array(300).fill(1), 0);
  const plan = planOf([sequence.take(300)], { blockSize: 16, vocabLimit: 1000 });
  parentPort?.postMessage('loaded');
  for (;;) await Promise.all([decoder.execute(plan), decoder.execute(plan)]);
}
const { options, size, bounds } = work;
const encoder = await loadEncoder(options);
const rgb = new Uint8Array(size.width * size.height * 3);
const { grid } = encoder.plan({ kind: 'image', ...size, options: bounds });
const item = { kind: 'image', rgb, ...size, grid } as const;
const encoded = encoder.encode([item, item, item]);
parentPort?.postMessage('loaded');
await Promise.all(encoded);
