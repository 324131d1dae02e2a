import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairSlots } from '#encoder/decoding/fair-slots.ts';
import { settled } from './doubles.ts';

const { signal } = new AbortController();

/** Callers that note when they are let in, and leave when told. */
class Callers {
  readonly entered: string[] = [];
  readonly #leave = new Map<string, () => void>();
  readonly #slots: FairSlots;

  constructor(slots: FairSlots) {
    this.#slots = slots;
  }

  /** A request is named by its client and a number: "a", "a/2". */
  async enter(requestId: string, name: string, stop = signal): Promise<void> {
    const client = requestId.split('/')[0] ?? '';
    const leave = await this.#slots.enter({ client, requestId, signal: stop });
    this.entered.push(name);
    this.#leave.set(name, leave);
  }

  leave(name: string): void {
    this.#leave.get(name)?.();
  }
}

describe('FairSlots', () => {
  it('leaves slots to others than the request that has its part', async () => {
    const callers = new Callers(new FairSlots({ limit: 4, maxPerClient: 4, maxPerRequest: 2 }));
    for (const name of ['a1', 'a2', 'a3', 'a4']) void callers.enter('a', name);
    void callers.enter('b', 'b1');

    await settled();

    assert.deepEqual(callers.entered, ['a1', 'a2', 'b1']);
  });

  it('lets requests in by turns', async () => {
    const callers = new Callers(new FairSlots({ limit: 1, maxPerClient: 1, maxPerRequest: 1 }));
    for (const name of ['a1', 'a2', 'a3']) void callers.enter('a', name);
    for (const name of ['b1', 'b2']) void callers.enter('b', name);

    for (const name of ['a1', 'b1', 'a2', 'b2', 'a3']) {
      await settled();
      callers.leave(name);
    }

    assert.deepEqual(callers.entered, ['a1', 'b1', 'a2', 'b2', 'a3']);
  });

  it('leaves slots to others than the client that has its part by many requests', async () => {
    const callers = new Callers(new FairSlots({ limit: 3, maxPerClient: 2, maxPerRequest: 2 }));
    for (const name of ['a/1', 'a/2', 'a/3']) void callers.enter(name, name);
    void callers.enter('b', 'b');

    await settled();

    assert.deepEqual(callers.entered, ['a/1', 'a/2', 'b']);
  });

  it('lets clients in by turns, and the requests of each', async () => {
    const callers = new Callers(new FairSlots({ limit: 1, maxPerClient: 1, maxPerRequest: 1 }));
    const order = ['a/1 x', 'a/1 y', 'a/1 z', 'a/2', 'a/3', 'b'];
    for (const name of order) void callers.enter(name.split(' ')[0] ?? '', name);

    for (const name of ['a/1 x', 'b', 'a/2', 'a/3', 'a/1 y']) {
      await settled();
      callers.leave(name);
    }
    await settled();

    assert.deepEqual(callers.entered, ['a/1 x', 'b', 'a/2', 'a/3', 'a/1 y', 'a/1 z']);
  });

  it('forgets a caller who leaves while it waits', async () => {
    const callers = new Callers(new FairSlots({ limit: 1, maxPerClient: 1, maxPerRequest: 1 }));
    const caller = new AbortController();
    void callers.enter('a', 'a1');
    const waiting = callers.enter('b', 'b1', caller.signal);
    void callers.enter('c', 'c1');

    caller.abort(new Error('left'));
    await assert.rejects(waiting, /left/);
    callers.leave('a1');
    await settled();

    assert.deepEqual(callers.entered, ['a1', 'c1']);
  });

  it('takes callers without a request each for itself', async () => {
    const callers = new Callers(new FairSlots({ limit: 2, maxPerClient: 2, maxPerRequest: 1 }));

    void callers.enter('', 'x');
    void callers.enter('', 'y');
    await settled();

    assert.deepEqual(callers.entered, ['x', 'y']);
  });
});
