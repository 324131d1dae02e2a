import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromEngineError } from '#encoder/engine-error.ts';
import { type ErrorReason, MeshError } from '#mesh/errors.ts';
import { EngineError, type EngineErrorReason } from '#native';

const MEANINGS: readonly [EngineErrorReason, ErrorReason][] = [
  ['INVALID_REQUEST', 'INVALID_REQUEST'],
  ['UNSUPPORTED', 'UNSUPPORTED_MEDIA'],
  ['INVALID_CHECKPOINT', 'INVALID_REQUEST'],
  ['ENGINE_FAILED', 'ENGINE_FAILED'],
  ['ENGINE_CLOSED', 'DRAINING'],
];

describe('an error of the engine', () => {
  for (const [engineReason, reason] of MEANINGS) {
    it(`means ${reason} to a caller when it is ${engineReason}`, () => {
      const error = fromEngineError(new EngineError(engineReason, 'why'));

      assert.ok(error instanceof MeshError);
      assert.deepEqual([error.reason, error.message], [reason, 'why']);
    });
  }

  it('stays what it is when it is none', () => {
    const abort = new DOMException('left', 'AbortError');

    assert.equal(fromEngineError(abort), abort);
  });
});
