import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasGpuKernels, noFakeGpus, withFakeGpus } from '#test/fake-gpus.ts';
import { spawnMesh } from '../mesh.ts';

const READY = /Ready\b.*\. Try: curl/;

describe('a mesh whose devices nobody says', { skip: noFakeGpus }, () => {
  it('runs on the CPU where the GPU is too old, and says why', async () => {
    const mesh = await spawnMesh({ env: withFakeGpus('Tesla T4,7.5,16') });

    await mesh.lines.match(
      /device auto: a GPU is left out: cuda:0: Tesla T4 has compute capability 7\.5/,
    );
    await mesh.lines.match(/LLM backbone loaded on cpu:/);
    await mesh.lines.match(READY);
    assert.equal(await mesh.stop(), 0);
  });

  it('has the GPUs of a build with kernels for them, and otherwise the CPU', async () => {
    const mesh = await spawnMesh({ env: withFakeGpus('NVIDIA H200,9.0,141;NVIDIA H200,9.0,141') });

    if (hasGpuKernels) {
      await mesh.lines.match(/Initializing multi-GPU pipeline on devices: \[0, 1\]/);
      await mesh.lines.match(/device \\"cuda:[01]\\": /);
      // The fake driver can run nothing.
      assert.equal(await mesh.exit, 1);
      return;
    }
    await mesh.lines.match(
      /device auto: a GPU is left out: cuda:1: this build has no CUDA kernels/,
    );
    await mesh.lines.match(READY);
    assert.equal(await mesh.stop(), 0);
  });

  it('looks for no GPU where all are said', async () => {
    const mesh = await spawnMesh({
      env: withFakeGpus('Tesla T4,7.5,16'),
      flags: ['--device', 'cpu'],
    });

    await mesh.lines.match(READY);
    assert.equal(await mesh.stop(), 0);
    assert.deepEqual(
      mesh.lines.seen.filter((line) => line.includes('GPU')),
      [],
    );
  });

  it('refuses a GPU that is not there, naming the key and what is there', async () => {
    const mesh = await spawnMesh({
      env: withFakeGpus('Tesla T4,7.5,16'),
      backbone: ['device: cuda:9'],
    });

    await mesh.lines.match(
      /key \\"device\\": cuda:9: this process has one GPU; there is cuda:0 \(Tesla T4\)/,
    );
    assert.equal(await mesh.exit, 1);
  });
});
