import { parseCores, shareCores } from '#mesh/devices/cores.ts';
import { deviceList } from '#mesh/devices/device-list.ts';
import { MeshError } from '#mesh/errors.ts';

/** What is said about the devices of a decoder. */
export interface DeviceWish {
  readonly device: string;
  readonly tensorParallelSize?: number | undefined;
}

const CPU = /^cpu(?::([\d,-]+))?$/;

/** Refuses a number of devices that is not that of the list. */
export function checkDeviceWish({ device, tensorParallelSize: size }: DeviceWish): void {
  const { length } = deviceList(device);
  if (size === undefined || length === 1 || length === size) return;
  const message = `got ${size}, and "device" names ${length} devices, ${device}; leave the number out`;
  throw refused('tensor-parallel-size', message);
}

/**
 * Returns the devices over which a decoder is spread, by rank: those that are named, or so many even
 * sets of the cores of one CPU. `usableCores` are those that `cpu` stands for.
 */
export function decoderDevices(
  wish: DeviceWish,
  usableCores: readonly number[],
): readonly string[] {
  checkDeviceWish(wish);
  const named = deviceList(wish.device);
  const { device, tensorParallelSize: size = 1 } = wish;
  if (named.length > 1 || size === 1) return named;
  const cpu = CPU.exec(device);
  if (cpu === null) {
    const example = [0, 1].map((i) => device.replace(/\d+$/, String(i))).join();
    const message = `got ${size}, and "device" names one, ${device}; write each of them, such as ${example}`;
    throw refused('tensor-parallel-size', message);
  }
  const cores = cpu[1] === undefined ? usableCores : parseCores(cpu[1]);
  if (size <= cores.length) return shareCores(cores, size);
  const message = `got ${size}, and ${device} has ${cores.length === 1 ? 'one core' : `${cores.length} cores`}; each rank needs one of its own`;
  throw refused('tensor-parallel-size', message);
}

function refused(key: string, message: string): MeshError {
  return new MeshError('INVALID_REQUEST', `key "${key}": ${message}`, { param: key });
}
