import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { topFrame } from '#deploy/cli/views/top-frame.ts';
import { backboneOverview, meshOverview } from '#test/mesh-overviews.ts';

const LOAD = {
  num_running: 3,
  num_waiting: 1,
  capacity: 64,
  num_outstanding_tokens: 0,
  kv_cache_use: 0.25,
};

/** Returns the cells of the first instance by the names of their columns. */
function cellsOf(frame: string): ReadonlyMap<string, string> {
  const [, , names = '', row = ''] = frame.split('\n');
  const columns = [...names.matchAll(/\S+ */g)];
  return new Map(
    columns.map(({ 0: name, index }) => [
      name.trim(),
      row.slice(index, index + name.length).trim(),
    ]),
  );
}

describe('topFrame', () => {
  it('tells what a gateway did since the last look', () => {
    const before = meshOverview(1000, { requests_total: 10, ttft_count: 4, ttft_sum_s: 1 }, []);
    const gateway = {
      requests_total: 15,
      failures_total: 1,
      ttft_count: 6,
      ttft_sum_s: 1.5,
      num_requests: 2,
      max_requests: 100,
      uptime_ms: 7_200_000,
    };
    const [line] = topFrame(before, meshOverview(3000, gateway, [])).split('\n');

    assert.equal(
      line,
      'gateway 1.2.3 ready  2/100 requests  2.5 requests/s  1 failed  first token 250 ms  0 retries, 0 resumes  up 2 h',
    );
  });

  it('shows load, rate and caches of an instance', () => {
    const then = backboneOverview({ generation_tokens: 100 });
    const counters = { generation_tokens: 300, cache_queries: 10, cache_hits: 4 };
    const now = { ...backboneOverview(counters), load: LOAD, device: 'cpu:0-1', isa: 'avx2' };
    const frame = topFrame(meshOverview(1000, {}, [then]), meshOverview(3000, {}, [now]));

    const cells = cellsOf(frame);
    assert.equal(cells.get('load'), '3+1/64');
    assert.equal(cells.get('tokens/s'), '100');
    assert.equal(cells.get('kv'), '25 %');
    assert.equal(cells.get('hits'), '40 %');
    assert.equal(cells.get('device'), 'cpu:0-1 avx2');
  });

  it('leaves open what is unknown, such as the rate of a process that was started anew', () => {
    const then = meshOverview(1000, {}, [backboneOverview({ life: 0, generation_tokens: 100 })]);
    const now = meshOverview(3000, {}, [backboneOverview({ life: 1, generation_tokens: 50 })]);

    const cells = cellsOf(topFrame(then, now));
    for (const name of ['tokens/s', 'load', 'kv', 'hits', 'up']) {
      assert.equal(cells.get(name), '-', name);
    }
  });

  it('takes no rate of a gateway that was started anew', () => {
    const then = meshOverview(1000, { requests_total: 90, uptime_ms: 60_000 }, []);
    const now = meshOverview(3000, { requests_total: 3, uptime_ms: 2000 }, []);

    assert.match(topFrame(then, now), / {2}- requests\/s {2}0 failed {2}first token - {2}/);
  });

  it('draws a gateway that knows nobody', () => {
    const frame = topFrame(meshOverview(1000, {}, []), meshOverview(3000, {}, []));

    assert.match(frame, /first token -.*\n\nno instances$/);
  });
});
