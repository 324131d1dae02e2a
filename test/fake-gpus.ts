import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const FAKE_DRIVER = join(PACKAGE_ROOT, 'build', 'cmake', 'fake_driver');

/** Why there can be no fake GPUs here, for `skip`; false if there can. */
export const noFakeGpus =
  !existsSync(join(FAKE_DRIVER, 'libcuda.so.1')) && 'the fake driver is built by "npm test"';

/** Whether this build has kernels for GPUs, which a fake driver cannot run. */
export const hasGpuKernels = existsSync(
  join(PACKAGE_ROOT, 'build', 'native', 'libautoglm_cuda.so'),
);

/**
 * Returns the environment of a process that finds, in the driver's place, a library that answers as
 * these GPUs would: "NAME,MAJOR.MINOR,GIBIBYTES;…".
 */
export function withFakeGpus(gpus: string): Readonly<Record<string, string | undefined>> {
  return { LD_LIBRARY_PATH: FAKE_DRIVER, FAKE_GPUS: gpus, CUDA_VISIBLE_DEVICES: undefined };
}
