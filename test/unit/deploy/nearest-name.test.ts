import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { didYouMean, nearestName } from '#deploy/nearest-name.ts';

describe('nearestName', () => {
  it('finds the name with the fewest changed letters', () => {
    assert.equal(nearestName('prot', ['host', 'port', 'print']), 'port');
  });

  it('finds nothing when every name is far', () => {
    assert.equal(nearestName('zzzz', ['host', 'port']), undefined);
  });
});

describe('didYouMean', () => {
  it('asks about the nearest name', () => {
    assert.equal(didYouMean('stauts', ['serve', 'status']), '; did you mean "status"?');
  });

  it('says nothing when no name is near', () => {
    assert.equal(didYouMean('x', ['serve', 'status']), '');
  });
});
