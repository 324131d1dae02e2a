import { describeDevice } from './describe-device.ts';
import type { DeviceId } from './device-contract.ts';

/**
 * Returns the name of a device for logs and `GetModel`. For `cpu` it names all cores that this
 * process may use.
 */
export function deviceName(id: DeviceId): string {
  const device = describeDevice(id);
  const cores = device?.id === id ? device.cores : [];
  const [first, last] = [cores.at(0), cores.at(-1)];
  if (first === undefined || last === undefined) return id;
  return `${id}:${last - first + 1 === cores.length ? `${first}-${last}` : cores.join(',')}`;
}
