import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hash32 } from '#mesh/balance/hash.ts';
import { byPreference } from '#mesh/balance/rendezvous.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';

const places = ids(0, 4).map((n) => {
  const address = `host${n}:8052`;
  return { address, hash: hash32(address), member: { weight: 1 } };
});
const keys = ids(0, 400).map((n) => `key${n}`);
const firstOf = (list: typeof places, key: string) => byPreference(list, key)[0]?.address;

describe('byPreference', () => {
  it('orders all places, the same whatever order they are listed in', () => {
    const order = byPreference(places, 'a');

    assert.deepEqual(byPreference(places.toReversed(), 'a'), order);
    assert.deepEqual(new Set(order), new Set(places));
  });

  it('spreads keys over the places', () => {
    const counts = places.map(
      ({ address }) => keys.filter((key) => firstOf(places, key) === address).length,
    );

    assert.ok(Math.min(...counts) > 60, `${counts}`);
  });

  it('moves only the keys of a place that leaves', () => {
    const left = places.slice(1);
    const moved = keys.filter((key) => firstOf(places, key) !== firstOf(left, key));

    assert.ok(moved.length > 0);
    assert.ok(moved.every((key) => firstOf(places, key) === places[0]?.address));
  });

  it('is empty without places', () => {
    assert.deepEqual(byPreference([], 'a'), []);
  });
});
