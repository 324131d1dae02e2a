import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waterfall } from '#deploy/cli/views/waterfall.ts';
import type { RequestView, StageView } from '#mesh/trace/request-view.ts';

const STAGE: StageView = {
  name: 'generate',
  process: 'gateway',
  parent: null,
  start_ms: 0,
  duration_ms: 100,
  address: 'h:1',
  error: null,
  cause: null,
  follows: null,
};

const REQUEST: RequestView = {
  id: 'req-1',
  trace_id: null,
  method: 'POST',
  route: '/v1/chat/completions',
  status: 200,
  error: null,
  model: 'phone-nano',
  endpoint: 'h:2',
  is_stream: false,
  started_ms: 0,
  duration_ms: 200,
  ttft_ms: 150,
  input_tokens: 80,
  output_tokens: 9,
  cached_tokens: 0,
  finish_reasons: ['stop'],
  num_retries: 1,
  num_resumes: 0,
  stages: [
    { ...STAGE, error: 'QUEUE_FULL' },
    { ...STAGE, address: 'h:2', cause: 'retry', follows: 0, start_ms: 100 },
    {
      ...STAGE,
      name: 'decode',
      process: 'llm-backbone',
      parent: 1,
      address: null,
      start_ms: 150,
      duration_ms: 50,
    },
  ],
};

describe('waterfall', () => {
  it('draws every stage where it lay, below the one that it is a part of', () => {
    assert.equal(
      waterfall(REQUEST),
      [
        'POST /v1/chat/completions 200  req-1',
        'phone-nano at h:2, 200.0 ms, first token after 150.0 ms, 80 + 9 tokens',
        '',
        `generate h:1          gateway             0.0     100.0  ${'█'.repeat(20)}  QUEUE_FULL`,
        `generate (retry) h:2  gateway           100.0     100.0  ${' '.repeat(20)}${'█'.repeat(20)}`,
        `  decode              llm-backbone      150.0      50.0  ${' '.repeat(30)}${'█'.repeat(10)}`,
      ].join('\n'),
    );
  });

  it('draws a request that runs, and one that was refused before any stage', () => {
    const running = {
      ...REQUEST,
      status: null,
      duration_ms: null,
      stages: [{ ...STAGE, duration_ms: null }],
    };
    assert.match(
      waterfall(running),
      /^POST .* runs {2}req-1\n[\s\S]*generate h:1 .* runs {2}█{40}$/,
    );

    const refused = { ...REQUEST, status: 429, error: 'QUEUE_FULL', stages: [] };
    assert.match(waterfall(refused), /^POST .* 429 QUEUE_FULL {2}req-1\n/);
  });
});
