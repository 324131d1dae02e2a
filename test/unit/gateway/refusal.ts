import assert from 'node:assert/strict';
import { MeshError } from '#mesh/errors.ts';

/** The MeshError that `run` throws. */
export function refusalOf(run: () => unknown): MeshError {
  try {
    run();
  } catch (error: unknown) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  return assert.fail('nothing was refused');
}
