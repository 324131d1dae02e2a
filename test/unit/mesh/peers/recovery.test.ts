import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Recovery, soonest } from '#mesh/peers/recovery.ts';
import { FakeClock } from '#test/fake-clock.ts';

function start() {
  const clock = new FakeClock();
  return { clock, recovery: new Recovery(() => clock.now()) };
}

describe('Recovery', () => {
  it('expects nobody who has never come', () => {
    const { recovery } = start();

    recovery.tookToStart(2000);

    assert.equal(recovery.expectedMs, undefined);
  });

  it('expects another start as long as the last, and the time until it begins', () => {
    const { clock, recovery } = start();
    recovery.tookToStart(2000);
    recovery.came();

    assert.equal(recovery.expectedMs, 2600);
    recovery.went({ isSilent: false });
    clock.advance(1000);

    assert.equal(recovery.expectedMs, 1600);
  });

  it('expects an outage as long as the last one', () => {
    const { clock, recovery } = start();
    recovery.tookToStart(2000);
    recovery.came();
    recovery.went({ isSilent: false });
    clock.advance(9000);
    recovery.came();

    recovery.went({ isSilent: false });

    assert.equal(recovery.expectedMs, 9000);
  });

  it('does not take an outage of an hour for a rule', () => {
    const { clock, recovery } = start();
    recovery.came();
    recovery.went({ isSilent: false });
    clock.advance(3_600_000);
    recovery.came();

    assert.equal(recovery.expectedMs, 30_000);
  });

  it('expects a silent process later, which has to be ended first', () => {
    const { recovery } = start();
    recovery.tookToStart(2000);
    recovery.came();

    recovery.went({ isSilent: true });

    assert.equal(recovery.expectedMs, 10_600);
  });

  it('expects a late process half as long again as it has been away, at most a minute', () => {
    const { clock, recovery } = start();
    recovery.tookToStart(1400);
    recovery.came();
    recovery.went({ isSilent: false });

    clock.advance(10_000);
    assert.equal(recovery.expectedMs, 5000);
    clock.advance(1_000_000);

    assert.equal(recovery.expectedMs, 60_000);
  });
});

describe('soonest', () => {
  it('is the first of those that are expected', () => {
    const peers = [undefined, 900, 300].map((recoveryMs) => ({ recoveryMs }));

    assert.equal(soonest(peers), 300);
    assert.equal(soonest([{ recoveryMs: undefined }]), undefined);
  });
});
