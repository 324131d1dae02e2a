import { MeshError } from '#mesh/errors.ts';
import type { EngineError } from '#native';

/** Says which keys give a model that does not fit what it needs. */
export function outOfMemory(error: EngineError): MeshError {
  const keys = 'the key "kv-cache-gb" makes the cache smaller, "quantize" or "dtype" the weights';
  return new MeshError('INVALID_REQUEST', `${error.message}; ${keys}`, {
    param: 'kv-cache-gb',
    cause: error,
  });
}
