import type { Dashboard } from './dashboard.ts';
import { mean, quantile, rate } from './queries.ts';

/** The stages of a request on their way, and the histogram of each. */
const STAGES = [
  ['waits in the queue', 'vllm:request_queue_time_seconds'],
  ['prefill', 'vllm:request_prefill_time_seconds'],
  ['decode', 'vllm:request_decode_time_seconds'],
] as const;

export const REQUEST: Dashboard = {
  uid: 'autoglm-request',
  title: 'AutoGLM mesh: a request',
  description:
    'Where the time of a request goes on average, and of the slowest. For one request: its waterfall in the console, "autoglm trace ID", or its trace.',
  rows: [
    {
      title: 'Where the time goes',
      panels: [
        {
          title: 'Mean by stage',
          description:
            'Stages of the backbone, one above the other. A prompt with media waits in the queue for its rows.',
          unit: 's',
          isStacked: true,
          queries: STAGES.map(([legend, metric]) => ({ expr: mean(metric), legend })),
        },
        {
          title: 'P95 by stage',
          description: 'What one request in 20 exceeds in each stage.',
          unit: 's',
          queries: STAGES.map(([legend, metric]) => ({ expr: quantile(0.95, metric), legend })),
        },
        {
          title: 'Media, mean by stage',
          description: 'Stages of an image or a recording at its encoder, one above the other.',
          unit: 's',
          isStacked: true,
          queries: [
            {
              expr: mean('autoglm:encoder_seconds', ['role', 'stage']),
              legend: '{{role}}: {{stage}}',
            },
          ],
        },
      ],
    },
    {
      title: 'From outside',
      panels: [
        {
          title: 'To the first token: gateway and backbone, P95',
          description: 'What lies between the two is receiving, fetching media, and asking again.',
          unit: 's',
          queries: [
            {
              expr: quantile(0.95, 'autoglm:gateway_time_to_first_token_seconds'),
              legend: 'gateway',
            },
            { expr: quantile(0.95, 'vllm:time_to_first_token_seconds'), legend: 'backbone' },
          ],
        },
        {
          title: 'Whole, P95',
          description: 'At the backbone, from arrival to end.',
          unit: 's',
          queries: [{ expr: quantile(0.95, 'vllm:e2e_request_latency_seconds'), legend: 'P95' }],
        },
        {
          title: 'A token, mean by request',
          description: 'Time for each token behind the first.',
          unit: 's',
          queries: [
            {
              expr: quantile(0.5, 'vllm:request_time_per_output_token_seconds'),
              legend: 'P50',
            },
            {
              expr: quantile(0.95, 'vllm:request_time_per_output_token_seconds'),
              legend: 'P95',
            },
          ],
        },
        {
          title: 'Tokens of a request, mean',
          description: 'Of its prompt and of its answer.',
          unit: 'short',
          queries: [
            { expr: mean('vllm:request_prompt_tokens'), legend: 'prompt' },
            { expr: mean('vllm:request_generation_tokens'), legend: 'answer' },
          ],
        },
        {
          title: 'Requests',
          description: 'Ended, a second.',
          unit: 'reqps',
          queries: [{ expr: rate('vllm:request_success_total'), legend: 'ended' }],
        },
      ],
    },
  ],
};
