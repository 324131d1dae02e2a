import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hash32 } from '#mesh/balance/hash.ts';
import { type Candidate, MAX_AFFINITY_LOAD, pickLeastWork } from '#mesh/balance/least-work.ts';
import { seededRandom } from '#test/seeded-random.ts';

interface Named extends Candidate {
  readonly name: string;
  work: { total: number; own: number; surge: number };
}

function replica(name: string, total = 0, { own = total, weight = 1, surge = 0 } = {}): Named {
  return { name, hash: hash32(name), work: { total, own, surge }, member: { weight } };
}

const WISH = { work: 1, turn: 0, random: Math.random };

describe('pickLeastWork', () => {
  it('picks none of none, and the only one', () => {
    assert.equal(pickLeastWork([], WISH), undefined);
    assert.equal(pickLeastWork([replica('a', 99)], WISH)?.name, 'a');
  });

  it('picks the one with the least work for its weight', () => {
    const replicas = [replica('a', 30), replica('b', 40, { weight: 2 }), replica('c', 25)];

    assert.equal(pickLeastWork(replicas, WISH)?.name, 'b');
  });

  it('lets equal ones take turns', () => {
    const replicas = [replica('a'), replica('b'), replica('c', 5)];

    const picked = [0, 1, 2, 3].map((turn) => pickLeastWork(replicas, { ...WISH, turn })?.name);

    assert.deepEqual(picked, ['a', 'b', 'a', 'b']);
  });

  it('sends what has the same prefix to the same idle replica, whatever their order', () => {
    const replicas = ['a', 'b', 'c', 'd'].map((name) => replica(name));
    const affinity = hash32('conversation');

    const first = pickLeastWork(replicas, { ...WISH, affinity })?.name;
    const again = pickLeastWork(replicas.toReversed(), { ...WISH, affinity, turn: 1 })?.name;
    const without = replicas.filter(({ name }) => name !== first);
    const next = pickLeastWork(without, { ...WISH, affinity })?.name;

    assert.equal(again, first);
    assert.notEqual(next, first);
    // Another prefix that did not prefer the one that is gone stays where it was.
    for (const key of ['x', 'y', 'z'].map(hash32)) {
      const before = pickLeastWork(replicas, { ...WISH, affinity: key })?.name;
      if (before === first) continue;
      assert.equal(pickLeastWork(without, { ...WISH, affinity: key })?.name, before);
    }
  });

  it('prefers replicas for shares as their weights', () => {
    const replicas = [replica('a'), replica('b', 0, { weight: 3 })];
    let numHeavy = 0;
    for (let i = 0; i < 4000; i++) {
      const affinity = hash32(`conversation ${i}`);
      if (pickLeastWork(replicas, { ...WISH, affinity })?.name === 'b') numHeavy += 1;
    }

    assert(Math.abs(numHeavy - 3000) < 150, `${numHeavy} of 4000`);
  });

  it('gives no replica more than 1.25 times the mean because of a prefix', () => {
    const replicas = Array.from({ length: 8 }, (_, i) => replica(`r${i}`));
    const affinity = hash32('everybody has this prefix');
    for (let i = 0; i < 800; i++) {
      const picked = pickLeastWork(replicas, { ...WISH, affinity });
      assert(picked !== undefined);
      picked.work = { total: picked.work.total + 1, own: picked.work.own + 1, surge: 0 };
    }

    const most = Math.max(...replicas.map(({ work }) => work.total));
    assert(most <= Math.ceil(100 * MAX_AFFINITY_LOAD), `${most}`);
  });

  it('follows nobody to the same replica when loads are those of others', () => {
    const replicas = Array.from({ length: 50 }, (_, i) => replica(`r${i}`, 100 + i, { own: 0 }));
    const random = seededRandom(7);
    const counts = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      const name = pickLeastWork(replicas, { ...WISH, random, turn: i })?.name ?? '';
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }

    const most = Math.max(...counts.values());
    assert(most < 2.2 * (10_000 / 50), `${most} of 10,000 to one of 50`);
  });

  it('fills a replica that others crowd up to its bound, and none in its place', () => {
    const rest = Array.from({ length: 9 }, (_, i) => replica(`r${i}`, 1000, { own: 1 }));
    const crowded = replica('crowded', 250, { own: 1, surge: 20_000 });
    const affinity = Array.from({ length: 100 }, (_, i) => i).find(
      (one) =>
        pickLeastWork([...rest, { ...crowded, work: { ...crowded.work, surge: 0 } }], {
          ...WISH,
          affinity: one,
        })?.name === 'crowded',
    );
    const random = seededRandom(3);
    const counts = new Map<string, number>();
    for (let turn = 0; turn < 10_000; turn++) {
      const name =
        pickLeastWork([...rest, crowded], { work: 1, affinity, random, turn })?.name ?? '';
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }

    // A twentieth by the prefix, and a fifth of the others because it has the least work.
    const share = (counts.get('crowded') ?? 0) / 10_000;
    assert(share > 0.15 && share < 0.3, `${share}`);
    counts.delete('crowded');
    assert(Math.max(...counts.values()) < 1200, 'another one is preferred in its place');
  });
});
