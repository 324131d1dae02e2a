// Types of the devices and the processor of this machine, as the addon reports them.

/**
 * Name of the device on which weights live and kernels run: `cpu`, `cpu:0-1` (a set of cores) or
 * `cuda:0`.
 */
export type DeviceId = string;

export type WeightDtype = 'auto' | 'float32' | 'bfloat16' | 'float16';

export type DeviceKind = 'cpu' | 'cuda';

export interface DeviceDescription {
  readonly id: DeviceId;
  readonly kind: DeviceKind;
  readonly name: string;
  readonly memoryBytes: number;
  /** Cores on which this process may run; empty for a GPU. */
  readonly cores: readonly number[];
}

export type IsaLevel = 'reference' | 'avx2' | 'avx512' | 'amx';

export interface CpuFeatures {
  /** Level that the kernels use in this process. */
  readonly isa: IsaLevel;
  /** Levels that this machine can run, lowest first. */
  readonly supported: readonly IsaLevel[];
  /** Reason why `isa` was chosen, in words ("best supported", "AUTOGLM_ISA=avx2"). */
  readonly reason: string;
}
