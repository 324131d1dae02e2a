import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOfMb, mbOf } from '#mesh/megabytes.ts';

describe('a megabyte of a key', () => {
  it('has 10^6 bytes', () => {
    assert.equal(bytesOfMb(16), 16_000_000);
    assert.equal(mbOf(16_000_000), 16);
  });

  it('gives whole bytes, whatever its fraction is as a binary number', () => {
    assert.equal(bytesOfMb(0.000_123), 123);
    assert.equal(bytesOfMb(0.000_000_4), 0);
  });
});
