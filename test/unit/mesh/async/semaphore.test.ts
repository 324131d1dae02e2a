import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Semaphore } from '#mesh/async/semaphore.ts';
import { settled } from '#test/unit/encoder/doubles.ts';

const present = new AbortController().signal;

function setUp(limit: number) {
  const semaphore = new Semaphore(limit);
  const running = new Map<string, () => void>();
  const enter = (name: string, signal = present) =>
    semaphore.run(signal, () => new Promise<void>((resolve) => running.set(name, resolve)));
  return { running, enter };
}

describe('Semaphore', () => {
  it('runs as many as its limit and the others in order of arrival', async () => {
    const { running, enter } = setUp(2);
    const all = ['a', 'b', 'c', 'd'].map((name) => enter(name));
    await settled();
    assert.deepEqual([...running.keys()], ['a', 'b']);

    running.get('b')?.();
    await settled();

    assert.deepEqual([...running.keys()], ['a', 'b', 'c']);
    running.get('a')?.();
    running.get('c')?.();
    await settled();
    running.get('d')?.();
    await Promise.all(all);
  });

  it('gives the place on after a failure', async () => {
    const semaphore = new Semaphore(1);

    await assert.rejects(
      semaphore.run(present, () => Promise.reject(new Error('failed'))),
      /failed/,
    );

    assert.equal(await semaphore.run(present, async () => 'ran'), 'ran');
  });

  it('forgets a caller who leaves while waiting', async () => {
    const { running, enter } = setUp(1);
    const first = enter('a');
    const caller = new AbortController();
    const leaving = enter('b', caller.signal);
    const third = enter('c');

    caller.abort();
    await assert.rejects(leaving, { name: 'AbortError' });
    running.get('a')?.();
    await settled();

    assert.deepEqual([...running.keys()], ['a', 'c']);
    running.get('c')?.();
    await Promise.all([first, third]);
  });

  it('loses no place when a caller leaves at the moment of being let in', async () => {
    const { running, enter } = setUp(1);
    const first = enter('a');
    const caller = new AbortController();
    const leaving = enter('b', caller.signal);
    await settled();

    caller.abort();
    running.get('a')?.();
    await assert.rejects(leaving, { name: 'AbortError' });
    const next = enter('c');
    await settled();

    assert.ok(running.has('c'));
    running.get('c')?.();
    await Promise.all([first, next]);
  });
});
