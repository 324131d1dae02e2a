import { addon } from './addon.ts';
import type { DeviceDescription, DeviceId } from './device-contract.ts';

/** Returns why the GPU that `id` names cannot be used; undefined if it can, or `id` is no GPU. */
export function gpuRefusal(id: DeviceId): string | undefined {
  if (!id.startsWith('cuda:')) return undefined;
  const refusal = addon().gpuRefusal(id);
  return refusal === undefined ? undefined : `${id}: ${refusal}`;
}

/**
 * Returns the device that `id` names (a set of cores names the CPU), or undefined if this machine
 * does not have it.
 */
export function describeDevice(id: DeviceId): DeviceDescription | undefined {
  const known = addon().devices();
  const isOfCpu = id.split(':').at(0) === 'cpu';
  return (
    known.find((device) => device.id === id) ?? known.find(({ kind }) => kind === 'cpu' && isOfCpu)
  );
}
