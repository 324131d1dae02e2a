import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasGap, mergeRequests, unheardOf } from '#gateway/console/requests/known-requests.ts';
import { areaPath, axisTop, linePath } from '#gateway/console/requests/plot-path.ts';
import {
  NUM_STEPS,
  quantile,
  SPAN_MS,
  STEP_MS,
  seriesOf,
} from '#gateway/console/requests/series.ts';
import { waterfallBars } from '#gateway/console/requests/waterfall-bars.ts';
import type { RequestView, StageView } from '#mesh/trace/request-view.ts';

const NOW = 1_800_000_000_000;

function request(view: Partial<RequestView>): RequestView {
  return {
    id: 'r',
    trace_id: null,
    method: 'POST',
    route: '/v1/chat/completions',
    status: 200,
    error: null,
    model: 'm',
    endpoint: 'b:1',
    is_stream: true,
    started_ms: NOW,
    duration_ms: 1000,
    ttft_ms: 100,
    input_tokens: 1,
    output_tokens: 10,
    cached_tokens: 0,
    finish_reasons: ['stop'],
    num_retries: 0,
    num_resumes: 0,
    stages: [],
    ...view,
  };
}

function stage(view: Partial<StageView>): StageView {
  return {
    name: 'x',
    process: 'gateway',
    parent: null,
    start_ms: 0,
    duration_ms: 1,
    address: null,
    error: null,
    cause: null,
    follows: null,
    ...view,
  };
}

describe('the requests that the page knows', () => {
  it('are those of before with the new ones, newest first, each once', () => {
    const running = request({ id: 'a', started_ms: 2, status: null, duration_ms: null });
    const known = mergeRequests([running, request({ id: 'b', started_ms: 1 })], []);

    const merged = mergeRequests(known, [
      request({ id: 'c', started_ms: 3 }),
      request({ id: 'a', started_ms: 2 }),
    ]);

    assert.deepEqual(
      merged.map(({ id, status }) => [id, status]),
      [
        ['c', 200],
        ['a', 200],
        ['b', 200],
      ],
    );
  });

  it('are asked for again while they run, however many came after them', () => {
    const slow = request({ id: 'slow', started_ms: 1, status: null, duration_ms: null });
    const known = mergeRequests([], [slow, request({ id: 'done', started_ms: 2 })]);
    const news = [request({ id: 'new', started_ms: 3 })];

    assert.deepEqual(unheardOf(known, news), [slow]);
    assert.deepEqual(unheardOf(known, [...news, slow]), []);
    const ended = mergeRequests(known, [...news, request({ id: 'slow', started_ms: 1 })], [slow]);
    assert.deepEqual(
      ended.map(({ id, status }) => [id, status]),
      [
        ['new', 200],
        ['done', 200],
        ['slow', 200],
      ],
    );
  });

  it('are forgotten when the server does', () => {
    const slow = request({ id: 'slow', started_ms: 1, status: null, duration_ms: null });

    assert.deepEqual(mergeRequests([slow], [], [slow]), []);
  });

  it('are bounded', () => {
    const many = Array.from({ length: 3000 }, (_, i) => request({ id: `${i}`, started_ms: i }));

    assert.deepEqual(
      [mergeRequests([], many).length, mergeRequests([], many)[0]?.id],
      [2000, '2999'],
    );
  });

  it('have a gap if a full list of news reaches none of them', () => {
    const at = (ms: number) => request({ started_ms: ms });
    assert.equal(hasGap([], [at(5)], 2), false);
    assert.equal(hasGap([], [at(5), at(4)], 2), true);
    assert.equal(hasGap([at(3)], [at(5), at(4)], 2), true);
    assert.equal(hasGap([at(4)], [at(5), at(4)], 2), false);
  });
});

describe('seriesOf', () => {
  it('counts requests where they ended, first tokens where they came', () => {
    const started = NOW - STEP_MS - 500;
    const one = request({ started_ms: started, duration_ms: 1000, ttft_ms: 100 });

    const { steps, summary } = seriesOf([one], NOW);

    assert.equal(steps.length, NUM_STEPS);
    const [before, last] = steps.slice(-2);
    assert.deepEqual([before?.medianTtftMs, before?.numRequests], [100, 0]);
    assert.deepEqual([last?.medianTtftMs, last?.numRequests], [undefined, 1]);
    assert.equal(summary.tokenRate, 10 / 60);
  });

  it('spreads the tokens of a long answer over its time', () => {
    const long = request({
      started_ms: NOW - 4 * STEP_MS,
      duration_ms: 4 * STEP_MS - 1,
      ttft_ms: 0,
      output_tokens: 600,
    });

    const { steps } = seriesOf([long], NOW);

    assert.deepEqual(
      steps.slice(-5).map(({ tokenRate }) => tokenRate),
      [0, 10, 10, 10, 10],
    );
  });

  it('takes refusals and failures for errors, but not a client that has gone', () => {
    const requests = [
      request({ status: 429, error: 'QUEUE_FULL' }),
      request({ status: 200, error: 'DRAINING' }),
      request({ status: 499, error: 'CANCELLED' }),
      request({}),
    ].map((one) => ({ ...one, started_ms: NOW - 5000 }));

    const { summary } = seriesOf(requests, NOW);

    assert.deepEqual([summary.numErrors, summary.numRequests], [2, 4]);
  });

  it('leaves out what is older, and says if older ones are no longer known', () => {
    const old = request({ started_ms: NOW - SPAN_MS - 2000 });
    assert.equal(seriesOf([old], NOW).summary.numRequests, 0);

    const many = Array.from({ length: 1000 }, (_, i) => request({ started_ms: NOW - 5000 - i }));
    assert.equal(seriesOf(many, NOW).partialSinceMs, NOW - 5999);
    assert.equal(seriesOf(many.slice(1), NOW).partialSinceMs, undefined);
  });

  it('has quantiles by the nearest rank', () => {
    assert.deepEqual(
      [quantile([], 0.5), quantile([3], 0.95), quantile([4, 1, 3, 2], 0.5), quantile([1, 2], 0.95)],
      [undefined, 3, 2, 2],
    );
  });
});

describe('a plot', () => {
  const size = { width: 100, height: 10, top: 10 };

  it('breaks its line where nothing is known, and shows a lone value', () => {
    assert.equal(linePath([0, 10, undefined, 5], size), 'M0 10h0L33.3 0M100 5h0');
    assert.equal(linePath([], size), '');
  });

  it('fills the area below', () => {
    assert.equal(areaPath([0, 20], size), 'M0 10L0 10L100 0L100 10Z');
  });

  it('has a round top', () => {
    assert.deepEqual([0, 0.03, 1, 1.1, 21, 740].map(axisTop), [1, 0.05, 1, 2, 25, 1000]);
  });
});

describe('waterfallBars', () => {
  it('puts each stage below the one that it is a part of', () => {
    const stages = [
      stage({ name: 'generate', start_ms: 10, duration_ms: 90 }),
      stage({ name: 'queue', parent: 0, start_ms: 10, duration_ms: 10 }),
      stage({ name: 'receive', start_ms: 95, duration_ms: 5 }),
      stage({ name: 'tower', parent: 1, start_ms: 12, duration_ms: 4 }),
    ];

    const bars = waterfallBars(request({ duration_ms: 100, stages }), NOW);

    assert.deepEqual(
      bars.map(({ stage: { name }, depth }) => `${depth} ${name}`),
      ['0 generate', '1 queue', '2 tower', '0 receive'],
    );
    assert(Math.abs((bars[0]?.startShare ?? 0) - 0.1) < 1e-9);
    assert.equal(bars[0]?.widthShare, 0.9);
  });

  it('lets a stage that runs last until now', () => {
    const stages = [stage({ start_ms: 50, duration_ms: null })];

    const [bar] = waterfallBars(request({ duration_ms: null, stages }), NOW + 200);

    assert.deepEqual([bar?.durationMs, bar?.startShare, bar?.widthShare], [150, 0.25, 0.75]);
  });

  it('shows a short stage, inside the picture', () => {
    const stages = [stage({ start_ms: 1000, duration_ms: 0 })];

    const [bar] = waterfallBars(request({ duration_ms: 1000, stages }), NOW);

    assert(bar !== undefined && bar.widthShare > 0 && bar.startShare + bar.widthShare <= 1);
  });
});
