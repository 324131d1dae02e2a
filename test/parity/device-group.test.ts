import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { loadDecoder as loadServedDecoder } from '#backbone/load-decoder.ts';
import { backboneOptions } from '#backbone/options.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type DecoderOptions, devices, loadDecoder } from '#native';
import { memoryLog } from '#test/memory-log.ts';
import { engineRefusal, refusal } from '#test/refusal.ts';

const PHONE_NANO = join(PACKAGE_ROOT, 'deploy/models/phone-nano');
const SHAPE = {
  hiddenSize: 64,
  numLayers: 1,
  numAttentionHeads: 4,
  numKeyValueHeads: 2,
  headDim: 16,
  intermediateSize: 128,
  vocabSize: 100,
  maxPositionEmbeddings: 64,
};
const OPTIONS: DecoderOptions = {
  model: { random: SHAPE },
  device: 'cpu',
  weightDtype: 'float32',
  activationDtype: 'float32',
  blockSize: 16,
  kvCacheBytes: 1024 * 1024,
  maxNumBatchedTokens: 32,
};
const [first, second] = devices()[0]?.cores ?? [];
const GROUP = [`cpu:${first}`, `cpu:${second}`];
const skip = second === undefined && 'this process has one core';

async function loaded(options: Partial<DecoderOptions>): Promise<void> {
  const decoder = await loadDecoder({ ...OPTIONS, ...options });
  await decoder.close();
}

function servedDecoder(values: Readonly<Record<string, unknown>>) {
  const { log, lines } = memoryLog();
  const options = resolveOptions(
    backboneOptions,
    { model: PHONE_NANO, kvCacheGb: 0.1, ...values },
    {},
  );
  const load = async () =>
    loadServedDecoder(options, await readModelFiles(PHONE_NANO, undefined), log);
  return { load, messages: () => lines.map(({ msg }) => msg) };
}

describe('a group of devices', { skip }, () => {
  it('has one thread for each core, the engine among them', async () => {
    const numThreads = () => readdirSync('/proc/self/task').length;
    const before = numThreads();
    const decoder = await loadDecoder({ ...OPTIONS, device: GROUP });
    const during = numThreads();
    await decoder.close();

    assert.equal(during - before, 2);
    assert.equal(numThreads(), before);
  });

  const refusals: readonly (readonly [string, Partial<DecoderOptions>, RegExp])[] = [
    [
      'names a device twice',
      { device: [`cpu:${first}`, `cpu:${first}`] },
      /key "device": cpu:\d+ and cpu:\d+ share core \d+; each rank/,
    ],
    [
      'has all cores beside others',
      { device: ['cpu', `cpu:${first}`] },
      /cpu stands for every core/,
    ],
    [
      'has a CPU and a GPU',
      { device: [`cpu:${first}`, 'cuda:0'] },
      /key "device": cpu:\d+ and cuda:0 are of different kinds/,
    ],
    ['names a GPU twice', { device: ['cuda:0', 'cuda:0'] }, /cuda:0 stands there twice/],
    ['has no device', { device: [] }, /device: an empty list/],
    [
      'has fewer threads than devices',
      { device: GROUP, threads: 1 },
      /threads: expected 2\.\.1024/,
    ],
    [
      'cannot share the heads of the model',
      { device: GROUP, model: { random: { ...SHAPE, numAttentionHeads: 3, numKeyValueHeads: 3 } } },
      /key "tensor-parallel-size": 2 devices cannot share this model: 3 attention heads .* can be 1, 3/,
    ],
  ];
  for (const [what, options, message] of refusals) {
    it(`is refused if it ${what}`, async () => {
      await assert.rejects(loaded(options), engineRefusal('INVALID_REQUEST', message));
    });
  }

  it('is what the options of a backbone say, and the log and the numerics name it', async () => {
    const { load, messages } = servedDecoder({ device: GROUP.join() });

    const decoder = await load();
    await decoder.close();

    const { device, numRanks } = decoder;
    assert.deepEqual({ device, numRanks }, { device: GROUP.join(), numRanks: 2 });
    const line = `LLM backbone distributed across ${GROUP.join(', ')} (phone-nano, bfloat16,`;
    assert.ok(messages().at(-1)?.startsWith(line), messages().join('\n'));
    const path = 'tensor parallelism: values of the devices meet through shared memory';
    assert.equal(messages().at(-2), path);
  });

  it('is made of the cores of one CPU where only its size is said', async () => {
    const { load, messages } = servedDecoder({
      device: `cpu:${first},${second}`,
      tensorParallelSize: 2,
    });

    const decoder = await load();
    await decoder.close();

    assert.equal(decoder.device, GROUP.join());
    const chosen = `tensor-parallel-size 2: cpu:${first},${second} is divided into ${GROUP.join(', ')}`;
    assert.equal(messages()[0], chosen);
  });

  it('of devices that overlap is refused before anything is loaded', async () => {
    const { load, messages } = servedDecoder({ device: `cpu:${first},cpu:${first}` });

    await assert.rejects(load(), refusal('INVALID_REQUEST', /share core/));
    assert.ok(!messages().some((message) => message?.includes('loaded on')));
  });
});
