import { totalmem } from 'node:os';
import { cpuKvCacheBytes } from '#backbone/options.ts';
import { deviceList } from '#mesh/devices/device-list.ts';
import type { OptionValues } from '#mesh/options.ts';
import type { ModelProcesses } from './placement.ts';

/** Returns the memory that the processes of this machine, or of this container, may use, bytes. */
export function usableMemoryBytes(): number {
  // Without a limit the system says 0, or more than there is.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

const GIB = 1024 ** 3;

/** How many times the memory of an encoder on the same GPU a backbone gets. */
const BACKBONE_PARTS = 8;

/**
 * Returns, for each backbone, the memory options that its configuration leaves open where it is not
 * alone: several on the CPU share its memory, and the processes on one GPU the part of its memory that
 * one backbone would use.
 */
export function memoryShares(
  { backbones, encoders }: ModelProcesses,
  memoryBytes: number,
): readonly OptionValues[] {
  const groups = backbones.map(devicesOf);
  const towers = encoders.map(devicesOf);
  const numOnCpu = groups.filter((devices) => !areGpus(devices)).length;
  const partsOn = (gpu: string) => BACKBONE_PARTS * numOn(groups, gpu) + numOn(towers, gpu);
  return backbones.map(({ values }, i) => {
    const devices = groups[i] ?? [];
    if (areGpus(devices)) {
      const part = BACKBONE_PARTS / Math.max(...devices.map(partsOn));
      return { gpuMemoryUtilization: Number(values['gpuMemoryUtilization']) * part };
    }
    return numOnCpu === 1 ? {} : { kvCacheGb: cpuKvCacheBytes(memoryBytes, numOnCpu) / GIB };
  });
}

function devicesOf({ values }: { readonly values: OptionValues }): readonly string[] {
  return deviceList(String(values['device']));
}

function numOn(groups: readonly (readonly string[])[], device: string): number {
  return groups.filter((devices) => devices.includes(device)).length;
}

function areGpus([first = '']: readonly string[]): boolean {
  return first.startsWith('cuda');
}
