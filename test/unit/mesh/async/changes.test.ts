import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Changes } from '#mesh/async/changes.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** Returns true if a wait has ended after all work that was due has run. */
async function hasEnded(wait: Promise<void>): Promise<boolean> {
  let isOver = false;
  void wait.then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return isOver;
}

describe('Changes', () => {
  const { signal } = new AbortController();

  it('wakes everybody who waits', async () => {
    const changes = new Changes();
    const waits = [changes.after(0, { signal }), changes.after(0, { signal })];

    assert.equal(await hasEnded(Promise.all(waits).then(() => {})), false);
    changes.notify();

    await Promise.all(waits);
  });

  it('keeps nobody waiting for a change that came while the reader was busy', async () => {
    const changes = new Changes();
    const seen = changes.count;

    changes.notify();

    assert.equal(await hasEnded(changes.after(seen, { signal })), true);
    assert.equal(await hasEnded(changes.after(changes.count, { signal })), false);
  });

  it('wakes at the limit and leaves no timer behind a change', async () => {
    const changes = new Changes();
    const clock = new FakeClock();
    const late = changes.after(0, { signal, limitMs: 1000, clock });

    clock.advance(999);
    assert.equal(await hasEnded(late), false);
    clock.advance(1);
    await late;

    const early = changes.after(0, { signal, limitMs: 1000, clock });
    changes.notify();
    await early;
    assert.equal(clock.numTimers, 0);
  });

  it('wakes when the signal aborts', async () => {
    const changes = new Changes();
    const abort = new AbortController();
    const wait = changes.after(0, { signal: abort.signal });

    abort.abort();

    await wait;
    await changes.after(0, { signal: abort.signal });
  });
});
