import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { withFakeGpus } from '#test/fake-gpus.ts';
import { SOURCE_FLAGS } from '#test/program.ts';

/** Runs a module that prints JSON, where the driver knows these GPUs, and returns what it prints. */
function withGpus(gpus: string, module: string): unknown {
  const text = execFileSync(
    process.execPath,
    [...SOURCE_FLAGS, '--input-type=module', '-e', module],
    {
      cwd: PACKAGE_ROOT,
      env: { ...process.env, ...withFakeGpus(gpus) },
      encoding: 'utf8',
    },
  );
  return JSON.parse(text);
}

const LOAD = `
  const random = { hiddenSize: 64, numLayers: 1, numAttentionHeads: 2, numKeyValueHeads: 1,
    headDim: 32, intermediateSize: 64, vocabSize: 100, maxPositionEmbeddings: 64 };
  const options = { model: { random }, weightDtype: 'float32', activationDtype: 'float32',
    blockSize: 16, kvCacheBytes: 1048576, maxNumBatchedTokens: 64 };
`;

describe('a GPU', () => {
  it('is listed with what its driver and NVML know of it', () => {
    const devices = withGpus(
      'NVIDIA H200,9.0,141',
      `import { devices } from '#native'; console.log(JSON.stringify(devices().slice(1)));`,
    );

    assert.deepEqual(devices, [
      {
        id: 'cuda:0',
        kind: 'cuda',
        name: 'NVIDIA H200',
        memoryBytes: 141 * 2 ** 30,
        cores: [],
        isaLevels: [],
        gpu: {
          computeCapability: '9.0',
          busId: '0000:3b:00.0',
          freeMemoryBytes: 141 * 2 ** 29,
          utilization: 0.25,
          powerWatts: 71.5,
          temperatureCelsius: 41,
        },
      },
    ]);
  });

  it('has gauges, of which those that its driver does not tell are left out', () => {
    const samples = withGpus(
      'NVIDIA H200,9.0,141;NVIDIA RTX 4090,8.9,24',
      `import { describeDevice } from '#native';
       import { MetricRegistry } from '#mesh/metrics.ts';
       import { showGpus } from '#mesh/process/gpu-metrics.ts';
       const registry = new MetricRegistry();
       showGpus(registry, ['cuda:0', 'cuda:1'], { describe: describeDevice });
       const lines = registry.collect().flatMap(({ name, samples }) =>
         samples.map(({ labels, value }) => [name, labels.device, labels.gpu, value].join(' ')));
       console.log(JSON.stringify(lines));`,
    );

    assert.deepEqual(samples, [
      `gpu_memory_total_bytes 0 NVIDIA H200 ${141 * 2 ** 30}`,
      `gpu_memory_total_bytes 1 NVIDIA RTX 4090 ${24 * 2 ** 30}`,
      `gpu_memory_used_bytes 0 NVIDIA H200 ${141 * 2 ** 29}`,
      `gpu_memory_used_bytes 1 NVIDIA RTX 4090 ${24 * 2 ** 29}`,
      'gpu_power_watts 0 NVIDIA H200 71.5',
      'gpu_power_watts 1 NVIDIA RTX 4090 71.501',
      'gpu_temperature_celsius 0 NVIDIA H200 41',
      'gpu_utilization_ratio 0 NVIDIA H200 0.25',
      'gpu_utilization_ratio 1 NVIDIA RTX 4090 0.25',
    ]);
  });

  it('that is not there, or is too old, refuses a model before it is loaded', () => {
    const refusals = withGpus(
      'Tesla T4,7.5,16',
      `import { loadDecoder } from '#native';
       ${LOAD}
       const refusals = [];
       for (const device of ['cuda:9', 'cuda:0']) {
         await loadDecoder({ ...options, device }).catch(({ reason, message }) => {
           refusals.push([reason, message]);
         });
       }
       console.log(JSON.stringify(refusals));`,
    );

    assert.deepEqual(refusals, [
      ['INVALID_REQUEST', 'device "cuda:9": this process has one GPU; there is cuda:0 (Tesla T4)'],
      [
        'UNSUPPORTED',
        'device "cuda:0": Tesla T4 has compute capability 7.5; kernels need 8.0 or newer (A100, RTX 30 and what came after them)',
      ],
    ]);
  });

  it('is refused by a build without kernels for it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'addon-alone-'));
    try {
      const alone = join(folder, 'autoglm.node');
      copyFileSync(join(PACKAGE_ROOT, 'build', 'native', 'autoglm.node'), alone);

      const refusal = withGpus(
        'NVIDIA H200,9.0,141',
        `import { createRequire } from 'node:module';
         import { EngineError } from ${JSON.stringify(join(PACKAGE_ROOT, 'native', 'engine-error.ts'))};
         ${LOAD}
         const addon = createRequire(import.meta.url)(${JSON.stringify(alone)});
         addon.setErrorClass(EngineError);
         const load = addon.loadDecoder({ ...options, device: 'cuda:0' });
         const { reason, message } = await load.promise.catch((error) => error);
         console.log(JSON.stringify([reason, message]));`,
      );

      assert.ok(Array.isArray(refusal));
      assert.equal(refusal[0], 'UNSUPPORTED');
      assert.match(
        String(refusal[1]),
        /^device "cuda:0": this build has no CUDA kernels \(.*libautoglm_cuda\.so.*\): build it where the CUDA compiler nvcc is, or use cpu$/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
