import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Value of `device` that leaves the choice to what there is. */
export const AUTO_DEVICE = 'auto';

/** The GPUs on which models can run, and why others cannot be used. */
export interface GpuList {
  readonly gpus: readonly { readonly id: string; readonly name: string }[];
  readonly refusals: readonly string[];
}

/** What the driver of NVIDIA's GPUs has on Linux, and what WSL has in its place. */
const DRIVER_FILES = ['/dev/nvidiactl', '/dev/dxg'];
const DRIVER_LIBRARY = 'libcuda.so.1';

/**
 * Tells whether this machine may have GPUs that this process may use: a driver, in the system or
 * among the libraries that `env` names. It is cheap, and opens nothing.
 */
export function mayHaveGpus(env: Readonly<Record<string, string | undefined>>): boolean {
  const visible = env['CUDA_VISIBLE_DEVICES'];
  if (visible === '' || visible === '-1') return false;
  const folders = (env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return [...DRIVER_FILES, ...folders.map((folder) => join(folder, DRIVER_LIBRARY))].some((file) =>
    existsSync(file),
  );
}

export interface OwnDeviceWish {
  readonly device: string;
  /** GPUs to take of those that there are; unset: one. */
  readonly tensorParallelSize?: number | undefined;
}

/** What a process asks to learn of its GPUs. */
export interface GpuAsking {
  readonly listGpus: () => GpuList;
  readonly log: { readonly warn: (line: string) => void };
  /** Unset: that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Returns the devices of a process that runs by itself, where nobody has placed it: those that it was
 * given, or for `auto` the first GPUs, without any the CPU. Logs why GPUs cannot be used.
 */
export function ownDevice(
  { device, tensorParallelSize = 1 }: OwnDeviceWish,
  { listGpus, log, env = process.env }: GpuAsking,
): string {
  if (device !== AUTO_DEVICE) return device;
  const { gpus, refusals } = mayHaveGpus(env) ? listGpus() : NO_GPUS;
  for (const line of refusalLines(refusals)) log.warn(line);
  const names = gpus.slice(0, tensorParallelSize).map(({ id }) => id);
  return names.length > 0 ? names.join() : 'cpu';
}

export const NO_GPUS: GpuList = { gpus: [], refusals: [] };

/** Says that GPUs are left out, a line for each. */
export function refusalLines(refusals: readonly string[]): readonly string[] {
  return refusals.map((why) => `device auto: a GPU is left out: ${why}`);
}
