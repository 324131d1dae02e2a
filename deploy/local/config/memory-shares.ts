import { totalmem } from 'node:os';
import { cpuKvCacheBytes } from '#backbone/options.ts';
import { deviceList } from '#mesh/devices/device-list.ts';
import type { OptionValues } from '#mesh/options.ts';

/** Returns the memory that the processes of this machine, or of this container, may use, bytes. */
export function usableMemoryBytes(): number {
  // Without a limit the system says 0, or more than there is.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

const GIB = 1024 ** 3;

/**
 * Returns, for each of several backbones, the memory options that its configuration leaves open:
 * those on the CPU share its memory, and those on one GPU the part of its memory that one would use.
 */
export function memoryShares(
  backbones: readonly { readonly values: OptionValues }[],
  memoryBytes: number,
): readonly OptionValues[] {
  const groups = backbones.map(({ values }) => deviceList(String(values['device'])));
  const numOnCpu = groups.filter((devices) => !areGpus(devices)).length;
  const numOnDevice = (device: string) => groups.filter((one) => one.includes(device)).length;
  return backbones.map(({ values }, i) => {
    const devices = groups[i] ?? [];
    if (!areGpus(devices)) return { kvCacheGb: cpuKvCacheBytes(memoryBytes, numOnCpu) / GIB };
    const numSharing = Math.max(...devices.map(numOnDevice));
    return { gpuMemoryUtilization: Number(values['gpuMemoryUtilization']) / numSharing };
  });
}

function areGpus([first = '']: readonly string[]): boolean {
  return first.startsWith('cuda');
}
