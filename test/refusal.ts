import assert from 'node:assert/strict';
import { type ErrorReason, MeshError } from '#mesh/errors.ts';
import { EngineError, type EngineErrorReason } from '#native';

/** A check of a thrown value, as `assert.throws` and `assert.rejects` take it. */
export type ErrorCheck = (error: unknown) => true;

/**
 * Returns a check for a `MeshError` of this reason, with a message that matches, and of this
 * parameter if given.
 */
export function refusal(reason: ErrorReason, message = /./, param?: string): ErrorCheck {
  return (error) => {
    assert(error instanceof MeshError, `not a MeshError: ${String(error)}`);
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, message);
    if (param !== undefined) assert.equal(error.param, param, error.message);
    return true;
  };
}

/** Returns a check for an `EngineError` of this reason, with a message that matches. */
export function engineRefusal(reason: EngineErrorReason, message = /./): ErrorCheck {
  return (error) => {
    assert(error instanceof EngineError, `not an EngineError: ${String(error)}`);
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, message);
    return true;
  };
}

/** Returns the `MeshError` that `run` throws. */
export function refusalOf(run: () => unknown): MeshError {
  try {
    run();
  } catch (error: unknown) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  assert.fail('nothing was refused');
}
