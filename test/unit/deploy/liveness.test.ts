import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Liveness } from '#deploy/local/liveness.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** Watches a process whose answers the test gives. */
function watch() {
  const clock = new FakeClock();
  const trace: string[] = [];
  const liveness = new Liveness({
    clock,
    limitMs: 5000,
    ping: () => trace.push('ping'),
    onSilent: () => trace.push('silent'),
  });
  return { clock, trace, liveness };
}

describe('Liveness', () => {
  it('pings once a second while the process answers', () => {
    const { clock, trace, liveness } = watch();
    liveness.started();

    for (let second = 0; second < 3; second++) {
      clock.advance(1000);
      liveness.answered();
    }

    assert.deepEqual(trace, ['ping', 'ping', 'ping', 'ping']);
  });

  it('takes a process for dead that has not answered within the limit', () => {
    const { clock, trace, liveness } = watch();
    liveness.started();
    clock.advance(1000);

    clock.advance(4999);
    assert.deepEqual(trace, ['ping', 'ping']);
    clock.advance(1);

    assert.deepEqual(trace, ['ping', 'ping', 'silent']);
    assert.equal(clock.numTimers, 0);
  });

  it('forgets the silence before an answer', () => {
    const { clock, trace, liveness } = watch();
    liveness.started();
    clock.advance(5000);
    liveness.answered();

    clock.advance(5000);

    assert(!trace.includes('silent'));
  });

  it('lets a process that is starting be silent six times as long', () => {
    const { clock, trace } = watch();

    clock.advance(29_999);
    assert.deepEqual(trace, ['ping']);
    clock.advance(1);

    assert.deepEqual(trace, ['ping', 'silent']);
  });

  it('says nothing once it is stopped', () => {
    const { clock, trace, liveness } = watch();

    liveness.stop();
    clock.advance(60_000);

    assert.deepEqual(trace, ['ping']);
  });
});
