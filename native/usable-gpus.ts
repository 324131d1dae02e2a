import { addon } from './addon.ts';
import { gpuRefusal } from './describe-device.ts';
import type { UsableGpus } from './device-contract.ts';

/**
 * Returns the GPUs on which models can run, in the driver's order, and why the others cannot be used;
 * where the driver lists none, why that is.
 */
export function usableGpus(): UsableGpus {
  const found = addon()
    .devices()
    .filter(({ kind }) => kind === 'cuda')
    .map(({ id, name }) => ({ id, name, refusal: gpuRefusal(id) }));
  const gpus = found.flatMap(({ id, name, refusal }) =>
    refusal === undefined ? [{ id, name }] : [],
  );
  const refusals = (found.length > 0 ? found : [{ refusal: addon().gpuRefusal('cuda:0') }]).flatMap(
    ({ refusal }) => refusal ?? [],
  );
  return { gpus, refusals };
}
