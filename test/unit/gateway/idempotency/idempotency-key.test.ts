import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { idempotencyKey } from '#gateway/idempotency/idempotency-key.ts';

describe('idempotencyKey', () => {
  for (const key of ['a', '8e03978e-40d5-43e8-bc93-6894a57f9324', '"quoted"', 'x'.repeat(255)]) {
    it(`takes ${key.slice(0, 40)}`, () => {
      assert.equal(idempotencyKey({ 'idempotency-key': key }), key);
    });
  }

  it('is undefined without the header', () => {
    assert.equal(idempotencyKey({}), undefined);
  });

  for (const key of ['', 'a b', 'a, b', 'é', '\t', 'x'.repeat(256)]) {
    it(`refuses ${JSON.stringify(key.slice(0, 10))}`, () => {
      assert.throws(() => idempotencyKey({ 'idempotency-key': key }), {
        reason: 'INVALID_REQUEST',
        param: 'Idempotency-Key',
      });
    });
  }
});
