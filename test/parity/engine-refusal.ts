import assert from 'node:assert/strict';
import { EngineError } from '#native';

/** A check of an error: an `EngineError` with this reason and a message like this. */
export function hasReason(reason: string, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof EngineError, String(error));
    assert.equal(error.reason, reason);
    assert.match(error.message, pattern);
    return true;
  };
}
