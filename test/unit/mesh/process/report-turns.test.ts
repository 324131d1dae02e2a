import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import {
  type Follower,
  LOOK_INTERVAL_MS,
  ReportTurns,
  type Told,
} from '#mesh/process/report-turns.ts';

interface Named extends Follower {
  readonly name: number;
  told: Told;
}

describe('ReportTurns', () => {
  let turns: ReportTurns<Named>;
  let load: Told;
  beforeEach(() => {
    turns = new ReportTurns();
    load = { atMs: 0, numLoads: 0, work: 5000 };
  });

  function follow(count: number): void {
    for (let name = 0; name < count; name++) turns.noteTold({ name, told: load });
  }

  /** Looks at a new load; returns the names of those who are told. */
  function look(work: number): readonly number[] {
    load = { atMs: load.atMs + LOOK_INTERVAL_MS, numLoads: load.numLoads + 1, work };
    const due = turns.due(load);
    for (const one of due) {
      one.told = load;
      turns.noteTold(one);
    }
    return due.map(({ name }) => name);
  }

  const namesFrom = (first: number, count: number) =>
    Array.from({ length: count }, (_, index) => first + index);

  it('tells everybody at each look if they are few', () => {
    follow(3);

    assert.deepEqual([look(5100), look(5200)], [namesFrom(0, 3), namesFrom(0, 3)]);
  });

  it('tells a hundred at each look, those that were told longest ago', () => {
    follow(250);

    assert.deepEqual(look(5100), namesFrom(0, 100));
    assert.deepEqual(look(5200), namesFrom(100, 100));
    assert.deepEqual(look(5300), [...namesFrom(200, 50), ...namesFrom(0, 50)]);
  });

  it('tells nobody of a load that all know, until they are to hear a sign of life', () => {
    follow(2);
    const seen = (atMs: number) => turns.due({ ...load, atMs }).length;

    assert.deepEqual([100, 800, 900].map(seen), [0, 0, 2]);
  });

  it('tells all at once of so much more work that what they know misleads them', () => {
    follow(1000);

    assert.equal(look(9900).length, 100);
    assert.equal(look(10_100).length, 900);
    assert.equal(look(10_200).length, 100);
  });

  it('tells of the double of little work in turn', () => {
    load = { ...load, work: 1000 };
    follow(1000);

    assert.deepEqual([look(5000).length, look(5200).length], [100, 900]);
  });

  it('hurries within a budget', () => {
    follow(1000);

    const numTold = Array.from({ length: 9 }, (_, i) => look(5000 * 3 ** (i + 1)).length);

    const most = 9 * 100 + 1000 + 9 * 10;
    const total = numTold.reduce((sum, one) => sum + one, 0);
    assert(total > 1800 && total <= most, numTold.join());
  });

  it('forgets who has left', () => {
    follow(3);
    const [first] = turns.followers;
    assert(first !== undefined);

    turns.leave(first);

    assert.equal(turns.size, 2);
    assert.deepEqual(look(5100), [1, 2]);
  });
});
