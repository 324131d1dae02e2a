import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { MemoryReturn } from '#gateway/http/body/memory-return.ts';
import { FakeClock } from '#test/fake-clock.ts';

const MB = 1_000_000;

describe('MemoryReturn', () => {
  let clock: FakeClock;
  let numCollections: number;
  let memoryReturn: MemoryReturn;
  beforeEach(() => {
    clock = new FakeClock();
    numCollections = 0;
    memoryReturn = new MemoryReturn(clock, () => {
      numCollections += 1;
    });
  });

  it('leaves small bodies to V8', () => {
    memoryReturn.note(7 * MB);
    clock.advance(60_000);
    assert.equal(numCollections, 0);
  });

  it('counts small bodies together', () => {
    for (let i = 0; i < 4; i += 1) memoryReturn.note(2 * MB);
    clock.advance(2000);
    assert.equal(numCollections, 1);
  });

  it('collects in a pause, once all has been released', () => {
    memoryReturn.note(20 * MB);
    clock.advance(1900);
    memoryReturn.note(1 * MB);
    clock.advance(1900);
    assert.equal(numCollections, 0);
    clock.advance(100);
    assert.equal(numCollections, 1);
    clock.advance(60_000);
    assert.equal(numCollections, 1);
  });

  it('waits for no pause where much has been released', () => {
    memoryReturn.note(70 * MB);
    clock.advance(1900);
    memoryReturn.note(1 * MB);
    clock.advance(100);
    assert.equal(numCollections, 1);
  });

  it('collects what was released after a collection', () => {
    memoryReturn.note(70 * MB);
    clock.advance(2000);
    memoryReturn.note(45 * MB);
    clock.advance(2000);
    assert.equal(numCollections, 2);
  });
});
