import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EncodeSlots } from '#backbone/media/encode-slots.ts';

const { signal } = new AbortController();

function requestOf(client: string, candidates: readonly string[]) {
  return { client, candidates: () => candidates, signal };
}

describe('EncodeSlots', () => {
  it('gives the best encoder that has a slot, and none where no encoder may be asked', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 1 });

    assert.equal(await slots.enter(requestOf('x', ['a', 'b'])), 'a');
    assert.equal(await slots.enter(requestOf('x', ['a', 'b'])), 'b');
    assert.equal(await slots.enter(requestOf('x', [])), undefined);
  });

  it('lets an item that waits take the slot of any encoder, not only of one that hangs', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 1 });
    await slots.enter(requestOf('x', ['hangs']));
    await slots.enter(requestOf('x', ['fine']));
    const waiting = slots.enter(requestOf('x', ['hangs', 'fine']));

    slots.leave('fine', 'x');

    assert.equal(await waiting, 'fine');
  });

  it('gives a free slot to the client that has the fewest, then to who waits longest', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 2 });
    const order: string[] = [];
    await slots.enter(requestOf('flood', ['a']));
    await slots.enter(requestOf('flood', ['a']));
    const all = ['flood 1', 'flood 2', 'single 1'].map(async (name) => {
      const client = name.split(' ')[0] ?? '';
      await slots.enter(requestOf(client, ['a']));
      order.push(name);
      slots.leave('a', client);
    });

    slots.leave('a', 'flood');
    await Promise.all(all);

    assert.deepEqual(order, ['single 1', 'flood 1', 'flood 2']);
  });

  it('has a slot for a client that has none while another wants all', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 16 });
    let numRunning = 0;
    for (let i = 0; i < 16; i++) {
      void slots.enter(requestOf('flood', ['a'])).then(() => numRunning++);
    }

    assert.equal(await slots.enter(requestOf('single', ['a'])), 'a');
    assert.equal(numRunning, 14);
  });

  it('gives a spare slot at once or not at all', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 1 });
    await slots.enter(requestOf('x', ['a']));

    assert.equal(slots.enterSpare(requestOf('x', ['a', 'b']), { numEncoders: 2 }), 'b');
    assert.equal(slots.enterSpare(requestOf('x', ['a', 'b']), { numEncoders: 2 }), undefined);
    slots.leave('b', 'x');
    assert.equal(slots.enterSpare(requestOf('x', ['b']), { numEncoders: 2 }), 'b');
  });

  it('gives no spare slot to a client that would have more than its share', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 2 });
    await slots.enter(requestOf('x', ['a']));
    await slots.enter(requestOf('x', ['a']));
    await slots.enter(requestOf('y', ['b']));

    assert.equal(slots.enterSpare(requestOf('x', ['b']), { numEncoders: 2 }), undefined);
    assert.equal(slots.enterSpare(requestOf('y', ['b']), { numEncoders: 2 }), 'b');
  });

  it('tells those who wait when the last encoder is gone', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 1 });
    const peers = ['a'];
    await slots.enter(requestOf('x', peers));
    const waiting = [slots.enter(requestOf('x', peers)), slots.enter(requestOf('y', peers))];

    peers.pop();
    slots.refresh();

    assert.deepEqual(await Promise.all(waiting), [undefined, undefined]);
  });

  it('gives no slot to an item that is cancelled while it waits', async () => {
    const slots = new EncodeSlots<string>({ maxStreams: 1 });
    const abort = new AbortController();
    await slots.enter(requestOf('x', ['a']));
    const waiting = slots.enter({ ...requestOf('x', ['a']), signal: abort.signal });
    abort.abort(new Error('gone'));
    await assert.rejects(waiting, /gone/);

    slots.leave('a', 'x');

    assert.equal(await slots.enter(requestOf('x', ['a'])), 'a');
  });
});
