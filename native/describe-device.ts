import { addon } from './addon.ts';
import type { DeviceDescription, DeviceId } from './device-contract.ts';

/** The device that `id` names, a set of cores being of the CPU; undefined if this machine has none. */
export function describeDevice(id: DeviceId): DeviceDescription | undefined {
  const known = addon().devices();
  const isOfCpu = id.split(':').at(0) === 'cpu';
  return (
    known.find((device) => device.id === id) ?? known.find(({ kind }) => kind === 'cpu' && isOfCpu)
  );
}
