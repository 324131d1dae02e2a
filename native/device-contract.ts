// Types of the devices and the processor of this machine, as the addon reports them.

/**
 * Name of the device on which weights live and kernels run: `cpu`, `cpu:0-1` (a set of cores) or
 * `cuda:0`.
 */
export type DeviceId = string;

export type WeightDtype = 'auto' | 'float32' | 'bfloat16' | 'float16';

/**
 * int8: one scale an output column, and inputs of products rounded to int8 too if activations are
 * bfloat16. int4: one scale for 128 inputs of a column.
 */
export type Quantize = 'none' | 'int8' | 'int4';

export type DeviceKind = 'cpu' | 'cuda';

export interface DeviceDescription {
  readonly id: DeviceId;
  readonly kind: DeviceKind;
  readonly name: string;
  readonly memoryBytes: number;
  /** Cores on which this process may run; empty for a GPU. */
  readonly cores: readonly number[];
  /** Levels of CPU kernels that it can run, lowest first; empty for a GPU. */
  readonly isaLevels: readonly IsaLevel[];
  /** What only a GPU has. */
  readonly gpu?: GpuDescription;
}

/** A GPU as its driver describes it at this moment. NVML tells what may be missing. */
export interface GpuDescription {
  /** "9.0" of an H200. */
  readonly computeCapability: string;
  /** "0000:3b:00.0". */
  readonly busId: string;
  readonly freeMemoryBytes?: number;
  /** Share of the last moments in which it computed, 0 to 1. */
  readonly utilization?: number;
  readonly powerWatts?: number;
  readonly temperatureCelsius?: number;
}

/** The GPUs on which models can run, and why others cannot be used. */
export interface UsableGpus {
  readonly gpus: readonly { readonly id: DeviceId; readonly name: string }[];
  readonly refusals: readonly string[];
}

/**
 * `amx` needs bfloat16 and int8 tiles of the processor, and an operating system that saves tiles and
 * gives this process permission to use them.
 */
export type IsaLevel = 'reference' | 'avx2' | 'avx512' | 'amx';

export interface CpuFeatures {
  /** Level that the kernels use in this process. */
  readonly isa: IsaLevel;
  /** Levels that this machine can run, lowest first. */
  readonly supported: readonly IsaLevel[];
  /** Reason why `isa` was chosen, in words ("best supported", "AUTOGLM_ISA=avx2"). */
  readonly reason: string;
}
