import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StepWatchdog } from '#mesh/process/step-watchdog.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';
import { settled } from '#test/unit/encoder/doubles.ts';

const LIMIT_MS = 60_000;

/** A step that a test ends, or whose end it sees. */
interface Step {
  /** "running", "ended", or the reason of the failure. */
  readonly state: () => string;
  readonly end: () => void;
}

function setUp(limitMs = LIMIT_MS) {
  const clock = new FakeClock();
  let stoppedMs = 0;
  const watchdog = new StepWatchdog({
    clock: { now: () => clock.now() + stoppedMs, after: (...args) => clock.after(...args) },
    limitMs,
  });
  /** Lets time go by in which the process does nothing, not even look. */
  const stop = (ms: number) => {
    stoppedMs += ms;
  };
  const begin = (size: number): Step => {
    let end = () => {};
    let state = 'running';
    const step = new Promise<void>((resolve) => {
      end = resolve;
    });
    watchdog.watch(size, step).then(
      () => {
        state = 'ended';
      },
      (error: unknown) => {
        refusal('ENGINE_DEAD', /stands still/)(error);
        state = 'dead';
      },
    );
    return { state: () => state, end };
  };
  const run = async (size: number, ms: number) => {
    const { end, state } = begin(size);
    clock.advance(ms);
    end();
    await settled();
    assert.equal(state(), 'ended');
  };
  return { clock, watchdog, begin, run, stop };
}

/** Returns after how many seconds a step that never ends is noticed. */
async function secondsUntilNoticed({ clock }: { clock: FakeClock }, step: Step): Promise<number> {
  let seconds = 0;
  // It is looked at until it is noticed.
  for (; clock.numTimers > 0; seconds++) clock.advance(1000);
  await settled();
  assert.equal(step.state(), 'dead');
  return seconds;
}

describe('StepWatchdog', () => {
  it('lets a step end as it does, and leaves no timer behind', async () => {
    const { clock, watchdog } = setUp();

    assert.equal(await watchdog.watch(1, Promise.resolve('result')), 'result');
    await assert.rejects(watchdog.watch(1, Promise.reject(new Error('lost a bit'))), /lost a bit/);

    assert.equal(clock.numTimers, 0);
  });

  it('notices a step that does not end within the limit', async () => {
    const set = setUp();
    await set.run(1, 10);

    assert.equal(await secondsUntilNoticed(set, set.begin(1)), 60);
    assert.equal(set.clock.numTimers, 0);
  });

  it('gives a device whose pace is unknown six times the limit', async () => {
    const set = setUp();

    assert.equal(await secondsUntilNoticed(set, set.begin(512)), 360);
  });

  it('gives a large step the time it needs at the pace of a small one', async () => {
    const set = setUp();
    // A 9B model on a few cores: 0.75 s for a decoded token.
    await set.run(1, 750);

    assert.equal(await secondsUntilNoticed(set, set.begin(512)), 1536);
    assert.equal(await secondsUntilNoticed(set, set.begin(16)), 60);
  });

  it('gives a large step less once such steps have shown their own pace', async () => {
    const set = setUp();
    await set.run(1, 750);
    await set.run(512, 23_000);

    assert.equal(await secondsUntilNoticed(set, set.begin(512)), 92);
    assert.equal(await secondsUntilNoticed(set, set.begin(1000)), 180);
  });

  it('follows a context that grows, and steps that take longer with it', async () => {
    const { run } = setUp();
    for (let ms = 10_000; ms < 600_000; ms *= 1.2) await run(512, ms);
  });

  it('takes a stop of the process for no pace of the device', async () => {
    const set = setUp();
    const { end } = set.begin(1);

    set.stop(10 * LIMIT_MS);
    end();
    await settled();

    assert.equal(await secondsUntilNoticed(set, set.begin(1)), 60);
  });

  it('never notices anything if the limit is 0', async () => {
    const { clock, begin } = setUp(0);

    const { state } = begin(1);

    assert.equal(clock.numTimers, 0);
    assert.equal(state(), 'running');
  });
});
