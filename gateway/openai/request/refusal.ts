import { MeshError } from '#mesh/errors.ts';
import { briefly } from '#mesh/json-value.ts';

/** Refuses a value of a body: names the field, the allowed values and the received one. */
export function refusal(at: string, allowed: string, received: unknown): MeshError {
  const message = `${at} must be ${allowed}, got ${briefly(received)}`;
  return new MeshError('INVALID_REQUEST', message, { param: at });
}
