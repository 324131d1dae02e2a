import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MetricRegistry } from '#mesh/metrics.ts';
import { type GpuState, showGpus } from '#mesh/process/gpu-metrics.ts';

const GIB = 1024 ** 3;
const H200: GpuState = {
  name: 'NVIDIA H200',
  memoryBytes: 141 * GIB,
  gpu: { freeMemoryBytes: 100 * GIB, utilization: 0.5, powerWatts: 71.5, temperatureCelsius: 41 },
};

/** Returns `name{device,gpu} value` of every sample. */
function samplesOf(registry: MetricRegistry): string[] {
  return registry
    .collect()
    .flatMap(({ name, samples }) =>
      samples.map(({ labels, value }) => `${name}{${labels['device']},${labels['gpu']}} ${value}`),
    );
}

describe('the metrics of GPUs', () => {
  it('say what the driver says of each GPU of the process', () => {
    const registry = new MetricRegistry();

    showGpus(registry, ['cuda:1'], { describe: () => H200 });

    assert.deepEqual(samplesOf(registry), [
      `gpu_memory_total_bytes{1,NVIDIA H200} ${141 * GIB}`,
      `gpu_memory_used_bytes{1,NVIDIA H200} ${41 * GIB}`,
      'gpu_power_watts{1,NVIDIA H200} 71.5',
      'gpu_temperature_celsius{1,NVIDIA H200} 41',
      'gpu_utilization_ratio{1,NVIDIA H200} 0.5',
    ]);
  });

  it('leave out what it does not tell', () => {
    const registry = new MetricRegistry();

    const { gpu: _, ...bare } = H200;
    showGpus(registry, ['cuda:0', 'cuda:1'], { describe: () => bare });

    assert.deepEqual(samplesOf(registry), [
      `gpu_memory_total_bytes{0,NVIDIA H200} ${141 * GIB}`,
      `gpu_memory_total_bytes{1,NVIDIA H200} ${141 * GIB}`,
    ]);
  });

  it('are none of a process without GPUs', () => {
    const registry = new MetricRegistry();

    showGpus(registry, ['cpu:0-3'], { describe: assert.fail });

    assert.deepEqual(registry.collect(), []);
  });

  it('ask the driver once for a scrape, and again for a later one', () => {
    const registry = new MetricRegistry();
    let numReads = 0;
    let nowMs = 0;
    const describe = () => {
      numReads++;
      return H200;
    };
    showGpus(registry, ['cuda:0'], { describe, now: () => nowMs });

    registry.collect();
    assert.equal(numReads, 1);
    nowMs = 1000;
    registry.collect();
    assert.equal(numReads, 2);
  });
});
