import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backboneOptions, checkBackboneOptions, kvCacheSize } from '#backbone/options.ts';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { resolveOptions } from '#mesh/options.ts';
import { refusal } from '#test/refusal.ts';

const GIB = 1024 ** 3;

function options(...flags: string[]) {
  return resolveOptions(
    backboneOptions,
    parseFlags(backboneOptions, ['--model', 'm', ...flags]),
    {},
  );
}

describe('backbone options', () => {
  it('takes several served names', () => {
    assert.deepEqual(options('--served-model-name', 'a', 'b').servedModelName, ['a', 'b']);
  });

  it('refuses another number of ranks than the list of devices has', () => {
    const flags = ['--device=cpu:0,cpu:1', '--tensor-parallel-size=3'];
    assert.throws(
      () => checkBackboneOptions(options(...flags)),
      refusal('INVALID_REQUEST', /got 3, and "device" names 2 devices/, 'tensor-parallel-size'),
    );
  });

  it('refuses steps that cannot hold a token of each sequence', () => {
    assert.throws(
      () => checkBackboneOptions(options('--max-num-seqs', '8', '--max-num-batched-tokens', '7')),
      refusal('INVALID_REQUEST', /7 is below max-num-seqs, 8/),
    );
  });

  it('names the types of a KV cache', () => {
    assert.throws(
      () => options('--kv-cache-dtype', 'fp8'),
      refusal('INVALID_REQUEST', /kv-cache-dtype.*auto, bfloat16, float32, int8/),
    );
  });

  it('names the allowed dtypes', () => {
    assert.throws(
      () => options('--dtype', 'int8'),
      refusal('INVALID_REQUEST', /auto, half, bfloat16, float32/),
    );
  });
});

describe('kvCacheSize', () => {
  const cpu = { kind: 'cpu', memoryBytes: 0 } as const;
  const gpu = { kind: 'cuda', memoryBytes: 80 * GIB } as const;

  it('follows kv-cache-gb', () => {
    assert.deepEqual(kvCacheSize(options('--kv-cache-gb', '0.5'), cpu), { kvCacheBytes: GIB / 2 });
    assert.deepEqual(kvCacheSize(options('--kv-cache-gb', '0.5'), gpu), { kvCacheBytes: GIB / 2 });
  });

  it('is a tenth of memory on a CPU, at most 4 GiB', () => {
    const sizes = [10, 100].map((gib) =>
      kvCacheSize(options(), { ...cpu, memoryBytes: gib * GIB }),
    );

    assert.deepEqual(sizes, [{ kvCacheBytes: GIB }, { kvCacheBytes: 4 * GIB }]);
  });

  it('is what utilization leaves on a GPU, at least room for a sequence or a step', () => {
    const share = (...flags: string[]) => kvCacheSize(options(...flags), gpu);

    assert.deepEqual(share('--gpu-memory-utilization', '0.5'), {
      kvCacheShare: { ofMemory: 0.5, minTokens: 512 },
    });
    assert.deepEqual(share('--max-model-len', '8192'), {
      kvCacheShare: { ofMemory: 0.9, minTokens: 8192 },
    });
  });
});
