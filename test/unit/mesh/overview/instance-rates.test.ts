import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ratesOf } from '#mesh/overview/instance-rates.ts';
import { backboneOverview, meshOverview } from '#test/mesh-overviews.ts';

describe('ratesOf', () => {
  const instance = (life: number, generation_tokens: number, cache_hits = 0) =>
    backboneOverview({ life, generation_tokens, cache_queries: 10, cache_hits });
  const overview = (readMs: number, one: ReturnType<typeof instance>) =>
    meshOverview(readMs, {}, [one]);

  it('counts tokens by the time between two looks, and hits by all lookups', () => {
    const rates = ratesOf(overview(1000, instance(0, 10)), overview(3000, instance(0, 50, 4)));

    assert.deepEqual(rates.get('b:1'), { tokenRate: 20, hitShare: 0.4 });
  });

  it('tells no rate of a process that was started anew, or that is seen first', () => {
    const restarted = ratesOf(overview(1000, instance(0, 10)), overview(3000, instance(1, 50)));
    const first = ratesOf(undefined, overview(3000, instance(1, 50)));

    assert.equal(restarted.get('b:1')?.tokenRate, undefined);
    assert.equal(first.get('b:1')?.tokenRate, undefined);
  });
});
