import type { Metric, MetricRegistry } from '#mesh/metrics.ts';
import { MetricKind, type MetricSample } from '#protos/autoglm/mesh/v1/instance.ts';

/** A GPU as its driver describes it at this moment; what nobody tells is undefined. */
export interface GpuState {
  readonly name: string;
  readonly memoryBytes: number;
  readonly gpu?: {
    readonly freeMemoryBytes?: number;
    readonly utilization?: number;
    readonly powerWatts?: number;
    readonly temperatureCelsius?: number;
  };
}

/** Returns the state of the GPU that a name such as `cuda:0` stands for. */
export type DescribeGpu = (device: string) => GpuState | undefined;

/** Time for which a driver's answer counts, milliseconds: a scrape reads each GPU once. */
const FRESH_MS = 500;

const LEVELS: readonly (readonly [string, string, (state: GpuState) => number | undefined])[] = [
  ['memory_total_bytes', 'Memory of the GPU', ({ memoryBytes }) => memoryBytes],
  ['memory_used_bytes', 'Memory of the GPU that any process uses', usedBytes],
  [
    'utilization_ratio',
    'Share of the last moments in which it computed',
    (s) => s.gpu?.utilization,
  ],
  ['power_watts', 'Power that the GPU draws', ({ gpu }) => gpu?.powerWatts],
  ['temperature_celsius', 'Temperature of the GPU', ({ gpu }) => gpu?.temperatureCelsius],
];

function usedBytes({ memoryBytes, gpu }: GpuState): number | undefined {
  return gpu?.freeMemoryBytes === undefined ? undefined : memoryBytes - gpu.freeMemoryBytes;
}

/** Adds the gauges of those devices of a process that are GPUs; `now` is in milliseconds. */
export function showGpus(
  registry: MetricRegistry,
  devices: readonly string[],
  {
    describe,
    now = () => performance.now(),
  }: { readonly describe: DescribeGpu; readonly now?: () => number },
): void {
  const gpus = devices.flatMap((device) => {
    const [, index] = /^cuda:(\d+)$/.exec(device) ?? [];
    return index === undefined ? [] : [{ index, read: freshly(() => describe(device), now) }];
  });
  if (gpus.length === 0) return;
  for (const [name, help, valueIn] of LEVELS) {
    const collect = (): MetricSample[] =>
      gpus.flatMap(({ index, read }) => {
        const state = read();
        const value = state === undefined ? undefined : valueIn(state);
        if (state === undefined || value === undefined) return [];
        return [{ suffix: '', labels: { device: index, gpu: state.name }, value }];
      });
    const gauge: Metric = {
      name: `gpu_${name}`,
      help,
      kind: MetricKind.METRIC_KIND_GAUGE,
      collect,
    };
    registry.register(gauge);
  }
}

/** Returns a function that reads at most once in `FRESH_MS`. */
function freshly<T>(read: () => T, now: () => number): () => T {
  let last: { readonly value: T; readonly atMs: number } | undefined;
  return () => {
    if (last === undefined || now() - last.atMs > FRESH_MS) last = { value: read(), atMs: now() };
    return last.value;
  };
}
