import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromEngineError, fromLoadError } from '#encoder/engine-error.ts';
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

  for (const [who, error] of [
    [
      'the engine',
      new EngineError('OUT_OF_MEMORY', 'cannot allocate 9000000 bytes of host memory'),
    ],
    ['libvips', new Error('vips_tracked: out of memory --- size == 9MB')],
    ['V8', new RangeError('Array buffer allocation failed')],
  ] as const) {
    it(`is no fault of the item when ${who} has no memory`, () => {
      const failure = fromEngineError(error);

      assert.ok(failure instanceof MeshError);
      assert.equal(failure.reason, 'NO_READY_ENDPOINT');
      assert.match(failure.message, /not enough free memory/);
    });
  }

  it('names the keys that help when a tower does not fit', () => {
    const error = fromLoadError(new EngineError('OUT_OF_MEMORY', 'weights of 2.00 GiB; 1 is free'));

    assert.ok(error instanceof MeshError);
    assert.equal(error.reason, 'INVALID_REQUEST');
    assert.match(error.message, /^weights of 2\.00 GiB; 1 is free; the key "quantize-tower"/);
  });

  it('stays what it is when it is none', () => {
    const abort = new DOMException('left', 'AbortError');

    assert.equal(fromEngineError(abort), abort);
  });
});
