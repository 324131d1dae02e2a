import type { Dashboard } from './dashboard.ts';
import { processRow } from './process-panels.ts';
import { of, quantiles, rate, rateOfRare, usedOf } from './queries.ts';

const GENERATING = ['method="POST"', 'handler!="/ping"'] as const;

export const OVERVIEW: Dashboard = {
  uid: 'autoglm-overview',
  title: 'AutoGLM mesh: overview',
  description: 'Whether the mesh answers, how fast, and what it is busy with.',
  rows: [
    {
      title: 'Now',
      panels: [
        {
          title: 'Processes up',
          description: 'Processes that answer the scrape.',
          unit: 'short',
          isNumber: true,
          queries: [{ expr: `sum(${of('up')})`, legend: 'up' }],
        },
        {
          title: 'Processes down',
          description: 'Processes that do not.',
          unit: 'short',
          isNumber: true,
          queries: [{ expr: `count(${of('up')} == 0) or vector(0)`, legend: 'down' }],
        },
        {
          title: 'Backbones ready',
          description: 'Ready backbones, as the gateway sees them that sees most.',
          unit: 'short',
          isNumber: true,
          queries: [
            {
              expr: `max(sum by (instance) (${of('autoglm:gateway_backbone_ready')}))`,
              legend: 'ready',
            },
          ],
        },
        {
          title: 'Alerts that fire',
          description: 'See Alertmanager for which they are.',
          unit: 'short',
          isNumber: true,
          queries: [
            {
              expr: `count(${of('ALERTS', 'alertstate="firing"')}) or vector(0)`,
              legend: 'alerts',
            },
          ],
        },
        {
          title: 'Failed, 5 minutes',
          description: 'Share of the requests to generate that got 5xx or broke off.',
          unit: 'percentunit',
          isNumber: true,
          queries: [{ expr: of('job:autoglm_error_ratio:rate5m'), legend: '{{job}}' }],
        },
        {
          title: 'Error budget, 3 days',
          description:
            'What the last three days have left of 0.1 % of failed requests; below 0: overdrawn.',
          unit: 'percentunit',
          isNumber: true,
          queries: [
            { expr: `1 - ${of('job:autoglm_error_ratio:rate3d')} / 0.001`, legend: '{{job}}' },
          ],
        },
      ],
    },
    {
      title: 'Requests',
      panels: [
        {
          title: 'Requests by status',
          description: 'Requests to generate that were answered, a second.',
          unit: 'reqps',
          isStacked: true,
          queries: [
            { expr: rate('http_requests_total', ['status'], ...GENERATING), legend: '{{status}}' },
          ],
        },
        {
          title: 'Time to the first token',
          description: 'From the arrival at the gateway.',
          unit: 's',
          queries: quantiles('autoglm:gateway_time_to_first_token_seconds'),
        },
        {
          title: 'Tokens',
          description: 'Tokens a second, of all backbones.',
          unit: 'short',
          queries: [
            { expr: rate('vllm:prompt_tokens_total'), legend: 'prompt' },
            { expr: rate('vllm:prompt_tokens_cached_total'), legend: 'of it cached' },
            { expr: rate('vllm:generation_tokens_total'), legend: 'generated' },
          ],
        },
        {
          title: 'In flight',
          description: 'Requests that gateways are answering; beyond the limit of each comes 429.',
          unit: 'short',
          queries: usedOf('autoglm:gateway_requests_in_flight'),
        },
        {
          title: 'Sequences',
          description: 'Those that backbones compute, and those that wait for it.',
          unit: 'short',
          isStacked: true,
          queries: [
            { expr: `sum(${of('vllm:num_requests_running')})`, legend: 'running' },
            { expr: `sum(${of('vllm:num_requests_waiting')})`, legend: 'waiting' },
          ],
        },
        {
          title: 'KV cache',
          description: 'Share of the blocks in use; near 100 % sequences wait or are preempted.',
          unit: 'percentunit',
          queries: [{ expr: of('vllm:kv_cache_usage_perc'), legend: '{{instance}}' }],
        },
        {
          title: 'What clients do not see',
          description:
            'Requests that were asked again elsewhere, and answers that went on there, a second.',
          unit: 'reqps',
          queries: [
            { expr: rateOfRare('autoglm:gateway_retries_total'), legend: 'retries' },
            { expr: rate('autoglm:gateway_resumes_total'), legend: 'resumes' },
          ],
        },
      ],
    },
    processRow('.+'),
  ],
};
