import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import {
  EMULATOR_REPORT,
  GpuFaults,
  noEmulatedGpus,
  withEmulatedGpus,
} from '#test/emulated-gpus.ts';
import { SOURCE_FLAGS } from '#test/program.ts';

/** Largest difference of a logit between devices, which add in orders of their own. */
const TOLERANCE = 1e-5;

const MODULE = [...SOURCE_FLAGS, '--input-type=module', '-e'];

const OPTIONS = `
  import { loadDecoder } from '#native';
  const random = { hiddenSize: 64, numLayers: 2, numAttentionHeads: 2, numKeyValueHeads: 2,
    headDim: 32, intermediateSize: 64, vocabSize: 100, maxPositionEmbeddings: 64 };
  const options = { model: { random }, weightDtype: 'float32', activationDtype: 'float32',
    blockSize: 16, kvCacheBytes: 1048576, maxNumBatchedTokens: 16 };
`;

/** Prints what a decoder of one seed computes on each of the devices, where there are two GPUs. */
const PRINT_LOGITS = `
  ${OPTIONS}
  const results = [];
  for (const device of ['cpu', 'cuda:1', ['cuda:0', 'cuda:1']]) {
    const decoder = await loadDecoder({ ...options, device });
    const { logits } = await decoder.trace(Uint32Array.from({ length: 12 }, (_, i) => 7 * i));
    results.push({ logits: [...logits], groupPath: decoder.description.groupPath });
    await decoder.close();
  }
  console.log(JSON.stringify(results));
`;

interface Computed {
  readonly logits: readonly number[];
  readonly groupPath: string;
}

describe('kernels of GPUs, through the addon', { skip: noEmulatedGpus }, () => {
  it('compute what those of a CPU do, on one GPU and on two', () => {
    const text = execFileSync(process.execPath, [...MODULE, PRINT_LOGITS], {
      cwd: PACKAGE_ROOT,
      env: { ...process.env, ...withEmulatedGpus(2) },
      encoding: 'utf8',
    });
    const results: readonly Computed[] = JSON.parse(text);
    const [cpu, one, two] = results;

    assert(cpu !== undefined && one !== undefined && two !== undefined);
    assert.equal(two.groupPath, 'peer access');
    assert(cpu.logits.some((value) => Math.abs(value) > 100 * TOLERANCE));
    for (const { logits } of [one, two]) {
      assert.equal(logits.length, cpu.logits.length);
      const furthest = Math.max(
        ...logits.map((value, i) => Math.abs(value - (cpu.logits[i] ?? NaN))),
      );
      assert(furthest <= TOLERANCE, `a logit is ${furthest} from a CPU's`);
    }
  });

  it('end the process with what the emulator reports of them', () => {
    const faults = new GpuFaults();
    faults.plan('unwritten', 0);
    const load = `${OPTIONS} await loadDecoder({ ...options, device: 'cuda:0' });`;

    const { signal, stderr } = spawnSync(process.execPath, [...MODULE, load], {
      cwd: PACKAGE_ROOT,
      env: { ...process.env, ...withEmulatedGpus(1), ...faults.env },
      encoding: 'utf8',
    });

    assert.equal(signal, 'SIGABRT', stderr);
    assert.match(stderr, EMULATOR_REPORT);
    assert.match(stderr, /memory that nobody wrote: a copy out of 64 bytes reads byte 0/);
  });
});
