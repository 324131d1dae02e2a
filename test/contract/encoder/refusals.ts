import assert from 'node:assert/strict';
import type { ErrorReason } from '#mesh/errors.ts';
import { MeshError } from '#mesh/errors.ts';

/** Asserts that a call is refused for a reason, in words that match. */
export async function assertRefused(
  call: Promise<unknown>,
  reason: ErrorReason,
  message: RegExp,
): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof MeshError, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, message);
    return true;
  });
}
