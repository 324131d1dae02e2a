import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ejection } from '#mesh/balance/ejection.ts';
import { FakeClock } from '#test/fake-clock.ts';

const REPLICAS = ['a', 'b', 'c', 'd'].map((address) => ({ address }));

interface Case {
  readonly name: string;
  /**
   * Steps at a second: `F` a failure, `S` a success, `B` a request sent to it, `-` it is left out,
   * `+` it is asked.
   */
  readonly steps: string;
}

const CASES: readonly Case[] = [
  { name: 'counts failures within the timeout', steps: '0F 1F 2+ 2F 2- 32-' },
  { name: 'forgets failures that are older', steps: '0F 25F 31F 31+ 50F 50-' },
  { name: 'forgets no failure for a success between', steps: '0F 1S 2F 3S 4F 5-' },
  { name: 'lets one request try it after the timeout', steps: '0F 0F 0F 30- 31+ 31B 31- 60- 62+' },
  { name: 'readmits it after the one that succeeds', steps: '0F 0F 0F 31B 32S 32+ 33F 34F 34+' },
  { name: 'readmits it after a probe that succeeds before', steps: '0F 0F 0F 1- 2S 2+' },
  { name: 'leaves it out anew when the one fails', steps: '0F 0F 0F 31B 32F 33- 62- 63+' },
];

describe('Ejection', () => {
  for (const { name, steps } of CASES) {
    it(name, () => {
      const clock = new FakeClock();
      const ejection = new Ejection({ maxFails: 3, failTimeoutMs: 30_000, clock });
      for (const step of steps.split(' ')) {
        const atMs = Number.parseInt(step, 10) * 1000;
        clock.advance(atMs - clock.now());
        const what = step.at(-1);
        const isAsked = ejection.inService(REPLICAS).some(({ address }) => address === 'a');
        if (what === 'F') ejection.failed('a');
        else if (what === 'S') ejection.succeeded('a');
        else if (what === 'B') ejection.begun('a');
        else assert.equal(isAsked, what === '+', step);
      }
    });
  }

  it('tells which failure took a replica out', () => {
    const ejection = new Ejection({ maxFails: 2, failTimeoutMs: 1000, clock: new FakeClock() });

    assert.deepEqual(
      [1, 2, 3].map(() => ejection.failed('a')),
      [false, true, false],
    );
  });

  it('lets all be asked when more than half of them are out', () => {
    const ejection = new Ejection({ maxFails: 1, failTimeoutMs: 1000, clock: new FakeClock() });

    ejection.failed('a');
    ejection.failed('b');
    assert.deepEqual(ejection.inService(REPLICAS), REPLICAS.slice(2));
    ejection.failed('c');
    assert.deepEqual(ejection.inService(REPLICAS), REPLICAS);
  });

  it('takes nobody out if no number of failures is too many', () => {
    const ejection = new Ejection({ maxFails: 0, failTimeoutMs: 1000, clock: new FakeClock() });
    for (let i = 0; i < 10; i++) ejection.failed('a');

    assert.equal(ejection.isOut('a'), false);
  });
});
