import { MeshError } from '#mesh/errors.ts';
import type { EngineError } from '#native';

const WAYS_OUT = {
  cpu: 'the key "kv-cache-gb" makes the cache smaller, "quantize" or "dtype" the weights',
  cuda: 'what helps: a smaller "max-model-len" or "max-num-batched-tokens", "kv-cache-dtype: int8", "quantize", a larger "gpu-memory-utilization" if nothing else runs there, or a second GPU ("device: cuda:0,cuda:1")',
};

/** Says which keys give a model that does not fit what it needs on a kind of device. */
export function outOfMemory(error: EngineError, kind: keyof typeof WAYS_OUT): MeshError {
  return new MeshError('INVALID_REQUEST', `${error.message}; ${WAYS_OUT[kind]}`, {
    param: kind === 'cpu' ? 'kv-cache-gb' : 'gpu-memory-utilization',
    cause: error,
  });
}
