// The typed facade over the native addon. These functions reach everything that computes (weights,
// kernels, forward passes, sampling); they make no decisions.

import { addon } from './addon.ts';
import type { CpuFeatures, DeviceDescription } from './device-contract.ts';

/** Returns the devices of this machine, the CPU first. */
export function devices(): readonly DeviceDescription[] {
  return addon().devices();
}

/**
 * Returns the level of the CPU kernels; throws if `AUTOGLM_ISA` names one that is unknown or
 * unavailable.
 */
export function cpuFeatures(): CpuFeatures {
  return addon().cpuFeatures();
}

export { loadDecoder } from './decoder.ts';
export type * from './decoder-contract.ts';
export { describeDevice, gpuRefusal } from './describe-device.ts';
export type * from './device-contract.ts';
export { deviceName } from './device-name.ts';
export { loadEncoder } from './encoder.ts';
export type * from './encoder-contract.ts';
export { EngineError, type EngineErrorReason } from './engine-error.ts';
export { createTokenTrie } from './grammar.ts';
export type * from './grammar-contract.ts';
export { resizeImage } from './image.ts';
export type * from './load-contract.ts';
export { limitSharing, mapShared, shareBytes, sharedBytes } from './shared-memory.ts';
export type * from './shared-memory-contract.ts';
export type * from './step-plan.ts';
export { usableGpus } from './usable-gpus.ts';
