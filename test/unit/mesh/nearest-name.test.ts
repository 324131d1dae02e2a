import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { didYouMean, nearestName, nearName } from '#mesh/nearest-name.ts';

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

const KNOWN = ['n', 'stop', 'temperature', 'max_tokens', 'top_p'];

describe('nearName', () => {
  for (const [given, meant] of [
    ['temprature', 'temperature'],
    ['temperaature', 'temperature'],
    ['temperatura', 'temperature'],
    ['tmeperature', 'temperature'],
    ['Temperature', 'temperature'],
    ['maxTokens', 'max_tokens'],
    ['max-tokens', 'max_tokens'],
    ['top.p', 'top_p'],
    ['sto', 'stop'],
  ] as const) {
    it(`takes ${given} for ${meant}`, () => {
      assert.equal(nearName(given, KNOWN), meant);
    });
  }

  for (const given of ['', 'm', 'temporary', 'tempratur', 'pots', 'x'.repeat(100_000)]) {
    it(`finds nothing near "${given.slice(0, 20)}"`, () => {
      assert.equal(nearName(given, KNOWN), undefined);
    });
  }
});
