import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planRestart, type RestartPolicy } from '#deploy/local/restart-policy.ts';

const POLICY: RestartPolicy = {
  firstDelayMs: 100,
  maxDelayMs: 1000,
  factor: 2,
  stableRunMs: 5000,
  jitter: 0.5,
};

describe('planRestart', () => {
  const rows = [
    {
      name: 'waits the first delay after the first failure',
      failures: 0,
      uptimeMs: 10,
      delayMs: 100,
    },
    { name: 'doubles after the second', failures: 1, uptimeMs: 10, delayMs: 200 },
    { name: 'doubles again after the third', failures: 2, uptimeMs: 10, delayMs: 400 },
    { name: 'never waits longer than the bound', failures: 9, uptimeMs: 10, delayMs: 1000 },
    { name: 'forgets failures after a stable run', failures: 9, uptimeMs: 5000, delayMs: 100 },
    { name: 'keeps them after a run just short of it', failures: 2, uptimeMs: 4999, delayMs: 400 },
  ];
  for (const { name, failures, uptimeMs, delayMs } of rows) {
    it(name, () => {
      const restart = planRestart(POLICY, { numFailures: failures, uptimeMs, random: 0 });

      assert.equal(restart.delayMs, delayMs);
    });
  }

  it('takes at most the jitter off the delay', () => {
    const restart = planRestart(POLICY, { numFailures: 0, uptimeMs: 0, random: 0.999 });

    assert.equal(restart.delayMs, 50);
  });

  it('counts failures in a row', () => {
    const first = planRestart(POLICY, { numFailures: 0, uptimeMs: 0, random: 0 });
    const second = planRestart(POLICY, { ...first, uptimeMs: 0, random: 0 });
    const afterStableRun = planRestart(POLICY, { ...second, uptimeMs: 9000, random: 0 });

    assert.deepEqual(
      [first, second, afterStableRun].map((one) => one.numFailures),
      [1, 2, 1],
    );
  });
});
