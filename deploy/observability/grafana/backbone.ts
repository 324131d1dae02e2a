import type { Dashboard } from './dashboard.ts';
import { processRow } from './process-panels.ts';
import { mean, of, PER_INSTANCE, quantile, quantiles, rate, rateOfRare, ratio } from './queries.ts';

export const BACKBONE: Dashboard = {
  uid: 'autoglm-backbone',
  title: 'AutoGLM mesh: backbones',
  description: 'Scheduler, KV cache, steps and tokens of the language model.',
  rows: [
    {
      title: 'Scheduler',
      panels: [
        {
          title: 'Running',
          description: 'Sequences that are computed, at most max-num-seqs.',
          unit: 'short',
          queries: [{ expr: of('vllm:num_requests_running'), legend: PER_INSTANCE }],
        },
        {
          title: 'Waiting',
          description: 'Sequences that wait for room (capacity) or for rows of media (deferred).',
          unit: 'short',
          isStacked: true,
          queries: [
            {
              expr: of('vllm:num_requests_waiting_by_reason'),
              legend: '{{instance}}: {{reason}}',
            },
          ],
        },
        {
          title: 'KV cache',
          description: 'Share of the blocks in use; near 100 % sequences wait or are preempted.',
          unit: 'percentunit',
          queries: [{ expr: of('vllm:kv_cache_usage_perc'), legend: PER_INSTANCE }],
        },
        {
          title: 'Preemptions',
          description: 'Sequences that lost their blocks and are computed again, a second.',
          unit: 'short',
          queries: [
            { expr: rate('vllm:num_preemptions_total', ['instance']), legend: PER_INSTANCE },
          ],
        },
        {
          title: 'Prompts found in the cache',
          description: 'Share of the prompt tokens that need not be computed.',
          unit: 'percentunit',
          queries: [
            {
              expr: ratio('vllm:prefix_cache_hits_total', 'vllm:prefix_cache_queries_total', [
                'instance',
              ]),
              legend: PER_INSTANCE,
            },
          ],
        },
        {
          title: 'Refused',
          description: 'Requests refused by a full queue or an option, by the reason, a second.',
          unit: 'reqps',
          queries: [
            {
              expr: rateOfRare('vllm:admission_rejections_total', ['reason']),
              legend: '{{reason}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Speed',
      panels: [
        {
          title: 'Tokens generated',
          description: 'Tokens a second.',
          unit: 'short',
          isStacked: true,
          queries: [
            { expr: rate('vllm:generation_tokens_total', ['instance']), legend: PER_INSTANCE },
          ],
        },
        {
          title: 'Prompt tokens',
          description: 'Computed or found in the cache, by what they are, a second.',
          unit: 'short',
          queries: [
            { expr: rate('vllm:prompt_tokens_total'), legend: 'all' },
            { expr: rate('vllm:prompt_tokens_cached_total'), legend: 'cached' },
            { expr: rate('vllm:prompt_image_tokens_total'), legend: 'image rows' },
            { expr: rate('vllm:prompt_audio_tokens_total'), legend: 'audio rows' },
          ],
        },
        {
          title: 'Between tokens',
          description: 'From one token of an answer to the next.',
          unit: 's',
          queries: quantiles('vllm:inter_token_latency_seconds'),
        },
        {
          title: 'Time to the first token',
          description: 'From the arrival at the backbone.',
          unit: 's',
          queries: quantiles('vllm:time_to_first_token_seconds'),
        },
        {
          title: 'Step',
          description:
            'Time of a step of the engine, P95, and what the device is idle between two, P95.',
          unit: 's',
          queries: [
            { expr: quantile(0.95, 'vllm:step_time_seconds', ['instance']), legend: PER_INSTANCE },
            {
              expr: quantile(0.95, 'vllm:step_gap_seconds', ['instance']),
              legend: '{{instance}}, gap',
            },
          ],
        },
        {
          title: 'Tokens of a step',
          description: 'Mean of those computed and generated, at most max-num-batched-tokens.',
          unit: 'short',
          queries: [
            { expr: mean('vllm:iteration_tokens_total', ['instance']), legend: PER_INSTANCE },
          ],
        },
        {
          title: 'Drafts accepted',
          description:
            'Share of the tokens drafted by prompt lookup that were right; empty without speculative-config.',
          unit: 'percentunit',
          queries: [
            {
              expr: ratio(
                'vllm:spec_decode_num_accepted_tokens_total',
                'vllm:spec_decode_num_draft_tokens_total',
                ['instance'],
              ),
              legend: PER_INSTANCE,
            },
          ],
        },
      ],
    },
    {
      title: 'Answers',
      panels: [
        {
          title: 'Ended',
          description: 'Requests by how they ended, a second.',
          unit: 'reqps',
          isStacked: true,
          queries: [
            {
              expr: rate('vllm:request_success_total', ['finished_reason']),
              legend: '{{finished_reason}}',
            },
          ],
        },
        {
          title: 'Length of prompts',
          description: 'Tokens.',
          unit: 'short',
          queries: quantiles('vllm:request_prompt_tokens'),
        },
        {
          title: 'Length of answers',
          description: 'Tokens.',
          unit: 'short',
          queries: quantiles('vllm:request_generation_tokens'),
        },
        {
          title: 'Engine',
          description: '1 while it computes.',
          unit: 'short',
          queries: [{ expr: of('vllm:engine_healthy'), legend: PER_INSTANCE }],
        },
        {
          title: 'Steps that failed',
          description: 'Their requests got an error; three in a row end the process.',
          unit: 'short',
          queries: [
            { expr: rateOfRare('vllm:failed_steps_total', ['instance']), legend: PER_INSTANCE },
          ],
        },
      ],
    },
    {
      title: 'Images and audio',
      panels: [
        {
          title: 'Encoders ready',
          description:
            'Whether each encoder can be asked, 1 or 0, and is left out because it fails.',
          unit: 'short',
          queries: [
            { expr: of('autoglm:encoder_endpoints_ready'), legend: '{{encoder}} of {{instance}}' },
            {
              expr: of('autoglm:encoder_endpoints_ejected'),
              legend: '{{encoder}} of {{instance}}, left out',
            },
          ],
        },
        {
          title: 'Items asked for',
          description: 'By modality and result, a second.',
          unit: 'short',
          queries: [
            {
              expr: rate('autoglm:encode_requests_total', ['modality', 'result']),
              legend: '{{modality}}: {{result}}',
            },
          ],
        },
        {
          title: 'Embeddings found in the cache',
          description: 'Share of the items that no encoder was asked for.',
          unit: 'percentunit',
          queries: [
            {
              expr: ratio('vllm:mm_cache_hits_total', 'vllm:mm_cache_queries_total', ['instance']),
              legend: PER_INSTANCE,
            },
          ],
        },
        {
          title: 'Memory of media',
          description:
            'Rows in the embedding cache, on each GPU of the decoder, and media that requests hold.',
          unit: 'bytes',
          queries: [
            { expr: of('autoglm:embedding_cache_bytes'), legend: '{{instance}}, cache' },
            { expr: of('autoglm:embedding_row_pool_bytes'), legend: '{{instance}}, each GPU' },
            { expr: of('autoglm:media_buffer_bytes'), legend: '{{instance}}, requests' },
          ],
        },
        {
          title: 'Rows received',
          description: 'Bytes a second, from GPU to GPU, by shared memory or in messages.',
          unit: 'Bps',
          queries: [
            {
              expr: rate('autoglm:embedding_received_bytes_total', ['transport']),
              legend: '{{transport}}',
            },
          ],
        },
        {
          title: 'Hedges',
          description:
            'Items that a second encoder was asked for, by result, a second; see encode-hedge.',
          unit: 'short',
          queries: [
            { expr: rateOfRare('autoglm:encode_hedges_total', ['result']), legend: '{{result}}' },
          ],
        },
      ],
    },
    processRow('llm-backbone'),
  ],
};
