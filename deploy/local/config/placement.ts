import { shareCores } from '#mesh/devices/cores.ts';
import { deviceList } from '#mesh/devices/device-list.ts';
import { AUTO_DEVICE } from '#mesh/devices/gpus.ts';
import type { OptionValues } from '#mesh/options.ts';
import type { DecoderHeads } from '../model-towers.ts';

/** A backbone without a device. */
export interface BackboneWish {
  /** Undefined if the checkpoint does not say. */
  readonly heads: DecoderHeads | undefined;
  /** Number of GPUs that it is to have. */
  readonly tensorParallelSize?: number;
}

/** The GPUs that placed processes share, and how many processes each of them has. */
export class GpuPlacement {
  readonly #gpus: readonly string[];
  readonly #numProcesses: Map<string, number>;

  /** `taken` are the devices of processes that are placed already, as their option has them. */
  constructor(gpus: readonly string[], taken: readonly string[]) {
    this.#gpus = gpus;
    this.#numProcesses = new Map(gpus.map((gpu) => [gpu, 0]));
    for (const gpu of taken.flatMap(deviceList)) this.#take(gpu);
  }

  /**
   * Gives each backbone an even share of the GPUs, or as many as it asks for, those with the fewest
   * processes first. Of its share it takes as many as can divide its heads.
   */
  placeBackbones(wishes: readonly BackboneWish[]): readonly string[] {
    const share = Math.max(1, Math.floor(this.#gpus.length / wishes.length));
    return wishes.map(({ heads, tensorParallelSize }) =>
      this.#place(tensorParallelSize ?? groupSize(share, heads)),
    );
  }

  /** Gives each of so many encoders the GPU with the fewest processes. */
  placeEncoders(count: number): readonly string[] {
    return Array.from({ length: count }, () => this.#place(1));
  }

  /** Takes so many GPUs, or as many as there are, and returns their names in order. */
  #place(size: number): string {
    const load = (gpu: string) => this.#numProcesses.get(gpu) ?? 0;
    const chosen = this.#gpus.toSorted((a, b) => load(a) - load(b)).slice(0, size);
    for (const gpu of chosen) this.#take(gpu);
    return this.#gpus.filter((gpu) => chosen.includes(gpu)).join();
  }

  #take(gpu: string): void {
    const count = this.#numProcesses.get(gpu);
    if (count !== undefined) this.#numProcesses.set(gpu, count + 1);
  }
}

/** Returns the largest number of devices, of at most `most`, that can share a decoder. */
function groupSize(most: number, heads: DecoderHeads | undefined): number {
  if (heads === undefined) return 1;
  const { numHeads, numKvHeads } = heads;
  let size = most;
  while (numHeads % size !== 0 || (numKvHeads % size !== 0 && size % numKvHeads !== 0)) size--;
  return size;
}

/** A process with a model, and its options. */
interface ModelProcess {
  readonly values: OptionValues;
}

/** The processes of a mesh that have models. */
export interface ModelProcesses<T extends ModelProcess = ModelProcess> {
  readonly backbones: readonly T[];
  readonly encoders: readonly T[];
}

/** What the places of processes depend on. */
export interface PlacementFacts {
  /** Names of the GPUs that can be used. */
  readonly gpus: readonly string[];
  /** Numbers of the cores that the processes may use, ascending. */
  readonly cores: readonly number[];
  /** Returns the heads of a model's decoder; undefined if its configuration does not say. */
  headsOf(modelDirectory: string): DecoderHeads | undefined;
}

/**
 * Puts the processes that leave their device open on one: on the GPUs if there are some. Otherwise one
 * backbone has the CPU, several share its cores, and so do the encoders among themselves.
 */
export function placeProcesses<T extends ModelProcess>(
  { backbones, encoders }: ModelProcesses<T>,
  { gpus, cores, headsOf }: PlacementFacts,
): ModelProcesses<T> {
  if (gpus.length === 0) {
    const shares = backbones.length === 1 ? ['cpu'] : shareCores(cores, backbones.length);
    return {
      backbones: backbones.map((one, i) => placed(one, shares[i])),
      encoders: encoders.map((one, i) => placed(one, shareCores(cores, encoders.length)[i])),
    };
  }
  const taken = [...backbones, ...encoders].map(({ values }) => String(values['device']));
  const placement = new GpuPlacement(gpus, taken);
  const wishes = backbones.filter(isOpen).map(({ values }) => wishOf(values, headsOf));
  const ofBackbones = placement.placeBackbones(wishes).values();
  const ofEncoders = placement.placeEncoders(encoders.filter(isOpen).length).values();
  const next = (devices: Iterator<string>) => (one: T) =>
    isOpen(one) ? placed(one, devices.next().value) : one;
  return {
    backbones: backbones.map(next(ofBackbones)),
    encoders: encoders.map(next(ofEncoders)),
  };
}

/** Tells whether a process leaves its device open. */
export function isOpen({ values }: ModelProcess): boolean {
  return values['device'] === AUTO_DEVICE;
}

function placed<T extends ModelProcess>(one: T, device: string | undefined): T {
  return isOpen(one) ? { ...one, values: { ...one.values, device } } : one;
}

function wishOf(values: OptionValues, headsOf: PlacementFacts['headsOf']): BackboneWish {
  const { tensorParallelSize: size } = values;
  const heads = headsOf(String(values['model']));
  return { heads, ...(size !== undefined && { tensorParallelSize: Number(size) }) };
}

/** Says on which GPUs the processes of a mesh run; nothing if there are none. */
export function gpusInWords(devices: readonly string[]): readonly string[] {
  const ordinals = devices.flatMap(deviceList).flatMap((device) => {
    const [, ordinal] = /^cuda:(\d+)$/.exec(device) ?? [];
    return ordinal === undefined ? [] : [Number(ordinal)];
  });
  const used = [...new Set(ordinals)].sort((a, b) => a - b);
  if (used.length === 0) return [];
  if (used.length === 1) return [`Initializing pipeline on device: cuda:${used[0]}`];
  return [`Initializing multi-GPU pipeline on devices: [${used.join(', ')}]`];
}
