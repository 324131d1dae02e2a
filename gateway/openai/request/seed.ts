import { Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { briefly } from '#mesh/json-value.ts';

const MIN_SEED = -(2n ** 63n);
const MAX_SEED = 2n ** 64n - 1n;
const ALLOWED = 'a 64-bit integer';

/** Makes the field of a seed: an integer of 64 bits, exact as a bigint where a number is not. */
export function seedField() {
  const either = Type.Union([Type.Integer(), Type.BigInt()], { description: ALLOWED });
  return Type.Optional(either);
}

/**
 * Returns the seed; -1 asks for a drawn one, as in vLLM, and other negative numbers keep their 64
 * bits.
 */
export function seedOf(seed: number | bigint | undefined): bigint | undefined {
  if (seed === undefined) return undefined;
  const exact = BigInt(seed);
  if (exact < MIN_SEED || exact > MAX_SEED) {
    const message = `seed must be ${ALLOWED}, got ${briefly(seed)}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'seed' });
  }
  return exact === -1n ? undefined : BigInt.asUintN(64, exact);
}
