import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { BodyMemory } from '#gateway/http/body/body-memory.ts';
import type { MeshError } from '#mesh/errors.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** A memory for 1000 bytes, 100 of them unfinished, and the bodies that had to give way. */
function createMemory({ maxBytes = 1000, maxUnfinishedBytes = 100 } = {}) {
  const clock = new FakeClock();
  const clients = new Map<IncomingMessage, string>();
  const clientOf = (request: IncomingMessage) => clients.get(request) ?? '';
  const memory = new BodyMemory({ maxBytes, maxUnfinishedBytes, clock, clientOf });
  const cutOff: string[] = [];
  const open = async (name: string, numAnnounced: number, client = 'someone') => {
    const request = new IncomingMessage(new Socket());
    clients.set(request, client);
    const onCutOff = (error: MeshError) => cutOff.push(`${name} ${error.reason}`);
    await memory.open(request, { numAnnounced, onCutOff });
    return request;
  };
  return { clock, memory, cutOff, open };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('BodyMemory', () => {
  it('reserves what a body announces until it is complete, and counts what came', async () => {
    const { memory, open } = createMemory();

    const body = await open('a', 60);
    memory.take(body, 60);
    assert.deepEqual([memory.numBytes, memory.numUnfinishedBytes], [60, 60]);
    memory.complete(body);
    assert.deepEqual([memory.numBytes, memory.numUnfinishedBytes], [60, 0]);
    memory.release(body);

    assert.deepEqual([memory.numBytes, memory.numUnfinishedBytes], [0, 0]);
  });

  it('keeps an eighth of all bytes for clients that hold less', async () => {
    const { memory, open } = createMemory({ maxUnfinishedBytes: 1000 });
    const large = await open('a', 0, 'one');
    memory.take(large, 800);
    memory.add(large, 75);
    const small = await open('b', 0, 'other');

    assert.throws(() => memory.add(large, 1), { reason: 'QUEUE_FULL' });
    memory.take(small, 125);
    assert.throws(() => memory.take(small, 1), { reason: 'QUEUE_FULL' });
    memory.release(small);
    memory.release(large);

    assert.equal(memory.numBytes, 0);
  });

  it('lets a body wait unread while others arrive fast', async () => {
    const { memory, open } = createMemory();
    const first = await open('a', 60);
    let isOpen = false;

    const second = open('b', 60).then(() => {
      isOpen = true;
    });
    await settled();
    assert.equal(isOpen, false);
    memory.complete(first);
    await second;

    assert.equal(isOpen, true);
  });

  it('cuts off half-sent bodies, and no fast one, to make room', async () => {
    const mb = 1_000_000;
    const limits = { maxBytes: 100 * mb, maxUnfinishedBytes: 10 * mb };
    const { clock, memory, cutOff, open } = createMemory(limits);
    const silent = await open('silent', 4 * mb);
    memory.take(silent, 3 * mb);
    const dripping = await open('dripping', 3 * mb);
    const fast = await open('fast', 3 * mb);
    memory.take(fast, mb);
    clock.advance(2000);
    memory.take(fast, mb);
    memory.take(dripping, 1000);

    const third = await open('third', 4 * mb);
    const fourth = await open('fourth', 3 * mb);

    assert.deepEqual(cutOff, ['silent QUEUE_FULL', 'dripping QUEUE_FULL']);
    assert.equal(memory.numUnfinishedBytes, 10 * mb);
    assert.throws(() => memory.take(silent, 1), { reason: 'QUEUE_FULL' });
    memory.take(third, 4 * mb);
    memory.take(fourth, 3 * mb);
  });

  it('refuses a body for which no room comes free in ten seconds', async () => {
    const mb = 1_000_000;
    const limits = { maxBytes: 100 * mb, maxUnfinishedBytes: 10 * mb };
    const { clock, memory, open } = createMemory(limits);
    const first = await open('a', 10 * mb);
    memory.take(first, 9 * mb);

    const refused = assert.rejects(open('b', 6 * mb), { reason: 'QUEUE_FULL' });
    for (let i = 0; i < 10; i++) {
      memory.take(first, 1000);
      clock.advance(1000);
      await settled();
    }

    await refused;
  });

  it('gives room first to the body whose client holds least', async () => {
    const { memory, open } = createMemory();
    await open('flood', 40, 'many');
    const second = await open('flood', 60, 'many');
    const order: string[] = [];
    void open('flood', 50, 'many').then(() => order.push('many'));
    void open('single', 45, 'one').then(() => order.push('one'));

    memory.release(second);
    await settled();

    assert.deepEqual(order, ['one']);
    assert.equal(memory.numUnfinishedBytes, 85);
  });

  it('takes room from a client that holds more than the asking one would', async () => {
    const mb = 1_000_000;
    const limits = { maxBytes: 100 * mb, maxUnfinishedBytes: 10 * mb };
    const { clock, memory, cutOff, open } = createMemory(limits);
    const first = await open('first', 4 * mb, 'many');
    const second = await open('second', 4 * mb, 'many');
    memory.take(first, mb);
    memory.take(second, mb);

    const other = open('other', 5 * mb, 'one');
    for (let i = 0; i < 2; i++) {
      memory.take(first, mb);
      memory.take(second, mb);
      clock.advance(1000);
    }
    await other;

    assert.deepEqual(cutOff, ['first QUEUE_FULL']);
    assert.equal(memory.numUnfinishedBytes, 9 * mb);
  });

  it('refuses bytes that no body announced once there is no room', async () => {
    const { memory, open } = createMemory();
    const body = await open('chunked', 0);
    memory.take(body, 100);

    assert.throws(() => memory.take(body, 1), /key "unfinished-body-mb"/);
  });
});
