import type { Dashboard } from './dashboard.ts';
import { processRow } from './process-panels.ts';
import { mean, of, PER_INSTANCE, quantile, rate, ratio, usedOf } from './queries.ts';

/** Series of encoders among those of backbones, which have caches of the same name. */
const ENCODER = 'role=~".+-encoder"';

export const ENCODERS: Dashboard = {
  uid: 'autoglm-encoders',
  title: 'AutoGLM mesh: encoders',
  description: 'Queue, stages, batches and caches of the vision and speech encoders.',
  rows: [
    {
      title: 'Queue',
      panels: [
        {
          title: 'Items inside',
          description: 'Between admission and their last row; beyond the limit others are refused.',
          unit: 'short',
          queries: usedOf('autoglm:encoder_items_running', 'autoglm:encoder_items_limit'),
        },
        {
          title: 'Waiting for a batch',
          description: 'Decoded items that the tower has not taken yet.',
          unit: 'short',
          queries: [{ expr: of('autoglm:encoder_queue_depth'), legend: PER_INSTANCE }],
        },
        {
          title: 'Items by result',
          description: 'Encode calls, a second.',
          unit: 'short',
          isStacked: true,
          queries: [
            {
              expr: rate('autoglm:encoder_items_total', ['instance', 'result']),
              legend: '{{instance}}: {{result}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Speed',
      panels: [
        {
          title: 'Stages, P95',
          description: 'Time of an item in each stage: queue, decode, preprocess, encode.',
          unit: 's',
          queries: [
            {
              expr: quantile(0.95, 'autoglm:encoder_seconds', ['instance', 'stage']),
              legend: '{{instance}}: {{stage}}',
            },
          ],
        },
        {
          title: 'Stages, mean',
          description: 'The same on average, one above the other.',
          unit: 's',
          isStacked: true,
          queries: [{ expr: mean('autoglm:encoder_seconds', ['stage']), legend: '{{stage}}' }],
        },
        {
          title: 'Batch',
          description: 'Mean number of items that the tower encodes together.',
          unit: 'short',
          queries: [
            { expr: mean('autoglm:encoder_batch_size', ['instance']), legend: PER_INSTANCE },
          ],
        },
        {
          title: 'Rows',
          description: 'Embedding rows sent, a second.',
          unit: 'short',
          queries: [
            { expr: rate('autoglm:encoder_rows_total', ['instance']), legend: PER_INSTANCE },
          ],
        },
        {
          title: 'Bytes of rows',
          description: 'By shared memory or in messages, a second.',
          unit: 'Bps',
          queries: [
            {
              expr: rate('autoglm:encoder_row_bytes_total', ['transport']),
              legend: '{{transport}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Memory',
      panels: [
        {
          title: 'Found in the cache',
          description: 'Share of the items whose rows the encoder had.',
          unit: 'percentunit',
          queries: [
            {
              expr: ratio(
                'autoglm:mm_cache_hits_total',
                'autoglm:mm_cache_queries_total',
                ['instance'],
                ENCODER,
              ),
              legend: PER_INSTANCE,
            },
          ],
        },
        {
          title: 'Cache',
          description:
            'Bytes of rows kept by content in memory of the host, at most encoder-cache-mb.',
          unit: 'bytes',
          queries: [{ expr: of('autoglm:encoder_cache_bytes'), legend: PER_INSTANCE }],
        },
        {
          title: 'Shared memory',
          description: 'Bytes of rows that backbones read there.',
          unit: 'bytes',
          queries: [{ expr: of('autoglm:encoder_shared_memory_bytes'), legend: PER_INSTANCE }],
        },
        {
          title: 'Rows on the GPU',
          description: 'Bytes of rows that backbones copy from there, at most gpu-rows-mb.',
          unit: 'bytes',
          queries: [{ expr: of('autoglm:encoder_row_pool_bytes'), legend: PER_INSTANCE }],
        },
        {
          title: 'Tower loaded',
          description: '1 while it is in memory; a lazy one is unloaded when idle.',
          unit: 'short',
          queries: [{ expr: of('autoglm:encoder_loaded'), legend: PER_INSTANCE }],
        },
      ],
    },
    processRow('.+-encoder'),
  ],
};
