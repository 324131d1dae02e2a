import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ItemBytes } from '#mesh/item-bytes.ts';

const KIB = 1024;

/** Makes bytes whose values depend on their position. */
function counted(numBytes: number): Buffer {
  return Buffer.from(Uint32Array.from({ length: numBytes / 4 }, (_, i) => i).buffer);
}

describe('ItemBytes', () => {
  for (const chunkBytes of [1, 333, 5000, 256 * KIB]) {
    it(`gives back what came in chunks of ${chunkBytes} bytes`, () => {
      const all = counted(300 * KIB);
      const item = new ItemBytes();

      for (let at = 0; at < all.length; at += chunkBytes) {
        item.push(all.subarray(at, at + chunkBytes));
      }

      assert.equal(item.numBytes, all.length);
      assert.deepEqual(item.take(), all);
      assert.equal(item.numBytes, 0);
    });
  }

  it('keeps an item of many small chunks in few blocks', () => {
    const item = new ItemBytes();

    for (let i = 0; i < 1000 * KIB; i++) item.push(Buffer.of(i));

    assert.ok(item.blocks.length <= 12, `${item.blocks.length} blocks`);
  });

  it('keeps a small item in a small block', () => {
    const item = new ItemBytes();

    item.push(counted(100));

    const [block] = item.blocks;
    assert.equal(block?.length, 100);
    assert.equal(block?.buffer.byteLength, 4 * KIB);
  });

  it('keeps nothing of the chunks themselves, which may be views of something large', () => {
    const chunk = Buffer.from('hello');
    const item = new ItemBytes();
    item.push(chunk);

    chunk.fill(0);

    assert.equal(item.take().toString(), 'hello');
  });
});
