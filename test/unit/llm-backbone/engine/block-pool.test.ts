import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BlockPool } from '#backbone/engine/kv-cache/block-pool.ts';
import { PrefixCache } from '#backbone/engine/kv-cache/prefix-cache.ts';

const keep = { keepContents: true };
const drop = { keepContents: false };

describe('BlockPool', () => {
  it('hands out every block once', () => {
    const pool = new BlockPool(3);

    const blocks = [pool.take(), pool.take(), pool.take()];

    assert.deepEqual(blocks.toSorted(), [0, 1, 2]);
    assert.equal(pool.numFree, 0);
    assert.throws(() => pool.take(), /no free block/);
  });

  it('refuses to free a block that is already free', () => {
    const pool = new BlockPool(1);
    pool.release(pool.take(), drop);

    assert.throws(() => pool.release(0, drop), /already free/);
  });

  it('frees a shared block with its last reference', () => {
    const pool = new BlockPool(1);
    const block = pool.take();
    pool.share(block);

    pool.release(block, drop);
    assert.equal(pool.numFree, 0);
    pool.release(block, drop);
    assert.equal(pool.numFree, 1);
  });

  it('reuses worthless contents first and kept contents in the order they were freed', () => {
    const pool = new BlockPool(4);
    const [a, b, c, d] = [pool.take(), pool.take(), pool.take(), pool.take()];

    pool.release(b, keep);
    pool.release(a, keep);
    pool.release(d, drop);
    pool.release(c, drop);

    assert.deepEqual([...pool.freeBlocks()], [c, d, b, a]);
  });

  it('takes a free block out of the list when it is shared again', () => {
    const pool = new BlockPool(2);
    const block = pool.take();
    pool.release(block, keep);

    pool.share(block);

    assert.equal(pool.numFree, 1);
    assert.ok(![...pool.freeBlocks()].includes(block));
  });
});

describe('PrefixCache', () => {
  it('finds a block until its contents are replaced', () => {
    const pool = new BlockPool(1);
    const cache = new PrefixCache(pool);
    const block = cache.take();
    cache.insert('a', block);
    cache.release([block]);

    assert.equal(cache.blockOf('a'), block);
    assert.equal(cache.take(), block);
    assert.equal(cache.blockOf('a'), undefined);
    assert.equal(cache.hashOf(block), undefined);
  });

  it('keeps the first of two blocks with the same contents', () => {
    const cache = new PrefixCache(new BlockPool(2));
    const [first, second] = [cache.take(), cache.take()];
    cache.insert('a', first);

    cache.insert('a', second);

    assert.equal(cache.blockOf('a'), first);
    assert.equal(cache.hashOf(second), undefined);
  });

  it('gives up the end of a prefix before its start', () => {
    const pool = new BlockPool(3);
    const cache = new PrefixCache(pool);
    const table = [cache.take(), cache.take(), cache.take()];
    for (const block of table) cache.insert(`hash ${block}`, block);

    cache.release(table);

    assert.deepEqual([...pool.freeBlocks()], table.toReversed());
  });
});
