import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { noFakeGpus, withFakeGpus } from './fake-gpus.ts';
import { scratchFolder } from './scratch-folder.ts';

const LIBRARY = join(PACKAGE_ROOT, 'build/cmake/emulated_gpu/libautoglm_cuda.so');

/** Why there can be no emulated GPUs here, for `skip`; false if there can. */
export const noEmulatedGpus =
  noFakeGpus || (!existsSync(LIBRARY) && 'the emulated GPUs are built by "npm test", on x86-64');

/** What a process of emulated GPUs writes when its kernels are at fault, before it ends. */
export const EMULATOR_REPORT = /SIMT emulator: /;

/**
 * Returns the environment of a process that finds so many GPUs of 2 GiB, which compute: their kernels
 * run on the emulator of the native tests (`test/native/simt/`), some thousand times slower than on a
 * GPU. They have access to each other's memory.
 */
export function withEmulatedGpus(count: number): Readonly<Record<string, string | undefined>> {
  const gpus = Array.from({ length: count }, () => 'Emulated GPU,8.9,2').join(';');
  return { ...withFakeGpus(gpus), AUTOGLM_CUDA_LIBRARY: LIBRARY };
}

/** What can go wrong once, as `test/native/emulated_gpu/planned_faults.h` describes it. */
export type GpuFault = 'out-of-memory' | 'late' | 'failure' | 'unwritten';

/** Faults of the emulated GPUs of processes that have `env` in their environment. */
export class GpuFaults {
  readonly #file = join(scratchFolder('gpu-faults'), 'fault');
  readonly env = { EMULATED_GPU_FAULT: this.#file };

  /** Whether no fault is planned that nothing has met yet. */
  get areMet(): boolean {
    return !existsSync(this.#file);
  }

  /** Lets the GPU of this number, or the first that could, fail once. */
  plan(fault: GpuFault, gpu: number | 'any'): void {
    const written = `${this.#file}.written`;
    writeFileSync(written, `${fault} ${gpu}\n`);
    renameSync(written, this.#file);
  }
}
