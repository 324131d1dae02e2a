import type { Dashboard } from './dashboard.ts';
import { processRow } from './process-panels.ts';
import { of, PER_INSTANCE, quantile, quantiles, rate, rateOfRare, usedOf } from './queries.ts';

export const GATEWAY: Dashboard = {
  uid: 'autoglm-gateway',
  title: 'AutoGLM mesh: gateways',
  description: 'What clients ask at the edge, what they get, and what fills it.',
  rows: [
    {
      title: 'Requests',
      panels: [
        {
          title: 'By route',
          description: 'Requests answered, a second.',
          unit: 'reqps',
          isStacked: true,
          queries: [{ expr: rate('http_requests_total', ['handler']), legend: '{{handler}}' }],
        },
        {
          title: 'Duration by route, P95',
          description: 'From a request to the end of its answer.',
          unit: 's',
          queries: [
            {
              expr: quantile(0.95, 'http_request_duration_seconds', ['handler']),
              legend: '{{handler}}',
            },
          ],
        },
        {
          title: 'Time to the first token',
          description: 'From the arrival at the gateway.',
          unit: 's',
          queries: quantiles('autoglm:gateway_time_to_first_token_seconds'),
        },
        {
          title: 'Failures',
          description:
            'Answers with 5xx, streams that broke off after their 200, clients that left, a second.',
          unit: 'reqps',
          queries: [
            { expr: rate('http_requests_total', [], 'status="5xx"'), legend: '5xx' },
            { expr: rate('autoglm:gateway_broken_streams_total'), legend: 'broke off' },
            { expr: rateOfRare('autoglm:gateway_cancelled_requests_total'), legend: 'client left' },
          ],
        },
        {
          title: 'Degraded answers',
          description:
            'Answers of another model, the cache or a rule, because nobody else could, a second.',
          unit: 'reqps',
          queries: [
            {
              expr: rateOfRare('autoglm:gateway_degraded_replies_total', ['kind']),
              legend: '{{kind}}',
            },
          ],
        },
        {
          title: 'Idempotency keys',
          description: 'Requests with a key, by what became of them, a second.',
          unit: 'reqps',
          queries: [
            {
              expr: rateOfRare('autoglm:gateway_keyed_requests_total', ['outcome']),
              legend: '{{outcome}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Backbones',
      panels: [
        {
          title: 'Ready',
          description: 'Whether each gateway sees a backbone as ready, 1 or 0.',
          unit: 'short',
          queries: [
            { expr: of('autoglm:gateway_backbone_ready'), legend: '{{address}} of {{instance}}' },
          ],
        },
        {
          title: 'Left out',
          description: 'Whether a backbone is not asked because it fails repeatedly, 1 or 0.',
          unit: 'short',
          queries: [
            { expr: of('autoglm:gateway_backbone_ejected'), legend: '{{address}} of {{instance}}' },
          ],
        },
        {
          title: 'Asked again',
          description:
            'Requests that another backbone was asked for, by the reason, and answers that it went on with.',
          unit: 'reqps',
          queries: [
            {
              expr: rateOfRare('autoglm:gateway_retries_total', ['reason']),
              legend: 'retry: {{reason}}',
            },
            {
              expr: rate('autoglm:gateway_resumes_total', ['exact']),
              legend: 'resume, exact: {{exact}}',
            },
          ],
        },
      ],
    },
    {
      title: 'What fills it',
      panels: [
        {
          title: 'In flight',
          description: 'Requests that are being answered; beyond the limit comes 429.',
          unit: 'short',
          queries: usedOf('autoglm:gateway_requests_in_flight'),
        },
        {
          title: 'Connections',
          description: 'Of clients; beyond the limit only probes are answered.',
          unit: 'short',
          queries: usedOf('autoglm:gateway_connections'),
        },
        {
          title: 'Bodies in memory',
          description:
            'Bytes of all bodies, and those reserved for what has not arrived; beyond the limit comes 429.',
          unit: 'bytes',
          queries: [
            { expr: of('autoglm:gateway_body_bytes'), legend: PER_INSTANCE },
            {
              expr: of('autoglm:gateway_unfinished_body_bytes'),
              legend: '{{instance}}, unfinished',
            },
            { expr: of('autoglm:gateway_body_bytes_limit'), legend: '{{instance}}, limit' },
          ],
        },
        {
          title: 'Kept answers',
          description: 'Bytes of the answers kept for their Idempotency-Key.',
          unit: 'bytes',
          queries: usedOf('autoglm:gateway_kept_answer_bytes'),
        },
        {
          title: 'Log lines lost',
          description: 'Lines dropped because their destination did not take them, a second.',
          unit: 'short',
          queries: [
            {
              expr: rate('autoglm:log_lines_dropped_total', ['instance', 'destination']),
              legend: '{{instance}}: {{destination}}',
            },
          ],
        },
      ],
    },
    processRow('gateway'),
  ],
};
