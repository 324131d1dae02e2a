import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiKeys, authorizationOf, isOpenPath } from '#gateway/http/auth.ts';

describe('ApiKeys', () => {
  it('lets everyone in without keys', () => {
    for (const keys of [undefined, '', ' , ']) {
      assert.doesNotThrow(() => new ApiKeys(keys).check(undefined), String(keys));
    }
  });

  it('accepts each of several keys and nothing else', () => {
    const keys = new ApiKeys('one, two');

    for (const header of ['Bearer one', 'bearer two']) {
      assert.doesNotThrow(() => keys.check(header), header);
    }
    for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Bearer on', 'Basic one', 'one']) {
      assert.throws(() => keys.check(header), { reason: 'UNAUTHENTICATED' }, header);
    }
  });

  it('never repeats a key', () => {
    assert.throws(
      () => new ApiKeys('secret').check('Bearer guess'),
      (error: unknown) => error instanceof Error && !/secret|guess/.test(error.message),
    );
  });
});

describe('authorizationOf', () => {
  it('is a bearer key, or else x-api-key in its form', () => {
    for (const [headers, expected] of [
      [{}, undefined],
      [{ authorization: 'Bearer one' }, 'Bearer one'],
      [{ 'x-api-key': 'two' }, 'Bearer two'],
      [{ authorization: 'Bearer one', 'x-api-key': 'two' }, 'Bearer one'],
      [{ authorization: 'Basic abc', 'x-api-key': 'two' }, 'Bearer two'],
      [{ authorization: 'Basic abc' }, 'Basic abc'],
    ] as const) {
      assert.equal(authorizationOf(headers), expected, JSON.stringify(headers));
    }
  });

  it('makes a key with spaces none', () => {
    const header = authorizationOf({ 'x-api-key': 'one two' });

    assert.throws(() => new ApiKeys('one').check(header), { reason: 'UNAUTHENTICATED' });
  });
});

describe('isOpenPath', () => {
  it('opens probes and metrics only', () => {
    const paths = [
      '/health',
      '/ping',
      '/version',
      '/metrics',
      '/v1/models',
      '/tokenize',
      '/healthz',
    ];

    assert.deepEqual(paths.map(isOpenPath), [true, true, true, true, false, false, false]);
  });
});
