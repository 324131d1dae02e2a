import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turns } from '#backbone/prompt/turns.ts';
import { refusal } from '#test/refusal.ts';

const { signal } = new AbortController();

/** Work that ends when it is told to. */
function held() {
  let release = () => {};
  const done = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { done, release };
}

describe('Turns', () => {
  it('lets clients take turns, whatever each has waiting', async () => {
    const turns = new Turns({ maxAtOnce: 1, maxWaiting: 10 });
    const order: string[] = [];
    const first = held();
    const running = turns.take('flood', signal, () => first.done);
    const note = (name: string) => async () => void order.push(name);

    const waiting = [
      ...['f1', 'f2', 'f3'].map((name) => turns.take('flood', signal, note(name))),
      turns.take('single', signal, note('s1')),
    ];
    first.release();
    await Promise.all([running, ...waiting]);

    assert.deepEqual(order, ['f1', 's1', 'f2', 'f3']);
  });

  it('refuses more than may wait', async () => {
    const turns = new Turns({ maxAtOnce: 1, maxWaiting: 1 });
    const first = held();
    const running = turns.take('a', signal, () => first.done);
    const waiting = turns.take('a', signal, async () => {});

    await assert.rejects(
      turns.take('b', signal, async () => {}),
      refusal('QUEUE_FULL', /1 large prompts or forms are waiting/),
    );
    first.release();
    await Promise.all([running, waiting]);
  });

  it('drops the wait of a client that leaves', async () => {
    const turns = new Turns({ maxAtOnce: 1, maxWaiting: 1 });
    const first = held();
    const leaving = new AbortController();
    const running = turns.take('a', signal, () => first.done);
    const lost = turns.take('b', leaving.signal, async () => assert.fail('it ran'));

    leaving.abort();

    await assert.rejects(lost, { name: 'AbortError' });
    assert.equal(turns.numWaiting, 0);
    const next = turns.take('c', signal, async () => 'ran');
    first.release();
    await running;
    assert.equal(await next, 'ran');
  });

  it('gives the turn on when work fails', async () => {
    const turns = new Turns({ maxAtOnce: 1, maxWaiting: 1 });

    await assert.rejects(turns.take('a', signal, () => Promise.reject(new Error('broken'))));

    assert.equal(await turns.take('a', signal, async () => 'ran'), 'ran');
  });
});
