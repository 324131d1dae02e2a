import assert from 'node:assert/strict';
import type { Scheduler } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/**
 * Checks what must hold between steps: every reference to a block belongs to one table entry, no
 * block is both free and used, tables cover the computed tokens, only full blocks are shared, lists
 * and states agree. Throws an AssertionError that names the breach.
 */
export function assertSchedulerInvariants(scheduler: Scheduler): void {
  assertTables(scheduler);
  assertReferences(scheduler);
  assertLists(scheduler);
}

function assertTables(scheduler: Scheduler): void {
  const { blockSize, maxNumSeqs } = scheduler.options;
  assert(scheduler.running.length <= maxNumSeqs, 'more sequences run than may');
  for (const sequence of scheduler.running) {
    const numBlocks = sequence.blockTable.length;
    const name = `sequence ${sequence.id}`;
    assert(sequence.numComputedTokens <= sequence.numTokens, `${name}: computed beyond its end`);
    assert(sequence.numComputedTokens <= numBlocks * blockSize, `${name}: table too short`);
    assert(numBlocks * blockSize < sequence.numTokens + blockSize, `${name}: table too long`);
    assert.equal(
      new Set(sequence.blockTable).size,
      numBlocks,
      `${name}: a block twice in its table`,
    );
    assertSharing(scheduler, sequence);
  }
  for (const sequence of scheduler.waiting) {
    assert.equal(sequence.blockTable.length, 0, `waiting sequence ${sequence.id} holds blocks`);
    assert.equal(sequence.numComputedTokens, 0, `waiting sequence ${sequence.id} is computed`);
  }
}

function assertSharing(scheduler: Scheduler, sequence: Sequence): void {
  const numFull = Math.floor(sequence.numComputedTokens / scheduler.options.blockSize);
  for (const [i, block] of sequence.blockTable.entries()) {
    const isShared = scheduler.pool.numReferences(block) > 1;
    assert(i < numFull || !isShared, `block ${block} is shared and not full`);
    const hash = scheduler.prefixCache.hashOf(block);
    assert(i < numFull || hash === undefined, `block ${block} is findable and not full`);
  }
}

function assertReferences({ pool, running }: Scheduler): void {
  const expected = new Map<number, number>();
  for (const block of running.flatMap((sequence) => sequence.blockTable)) {
    expected.set(block, (expected.get(block) ?? 0) + 1);
  }
  for (let block = 0; block < pool.numBlocks; block++) {
    const references = expected.get(block) ?? 0;
    assert.equal(pool.numReferences(block), references, `references of block ${block}`);
  }
  const free = [...pool.freeBlocks()];
  assert.equal(free.length, pool.numFree, 'length of the free list');
  assert.equal(free.length + expected.size, pool.numBlocks, 'free and used blocks');
  for (const block of free) assert(!expected.has(block), `block ${block} is free and used`);
}

function assertLists(scheduler: Scheduler): void {
  for (const sequence of scheduler.running) assert.equal(sequence.state, 'running');
  for (const sequence of scheduler.waiting) assert.equal(sequence.state, 'waiting');
  assert(scheduler.prefixCache.numCachedBlocks <= scheduler.pool.numBlocks, 'cached blocks');
}
