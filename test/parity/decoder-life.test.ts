import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { startThread } from '#mesh/thread.ts';
import { type Decoder, type DecoderOptions, devices, loadDecoder, type StepPlan } from '#native';
import { engineRefusal } from '#test/refusal.ts';
import type { BusyWork } from './busy-worker.ts';
import { PagedSequence, planOf } from './paged-sequence.ts';

const OPTIONS: DecoderOptions = {
  model: {
    random: {
      hiddenSize: 256,
      numLayers: 4,
      numAttentionHeads: 8,
      numKeyValueHeads: 2,
      headDim: 32,
      intermediateSize: 512,
      vocabSize: 1000,
      maxPositionEmbeddings: 1024,
    },
  },
  device: 'cpu',
  weightDtype: 'float32',
  activationDtype: 'float32',
  blockSize: 16,
  kvCacheBytes: 32 * 1024 * 1024,
  maxNumBatchedTokens: 512,
};

function prefill(numTokens = 300) {
  const sequence = new PagedSequence(
    Array.from({ length: numTokens }, (_, i) => i),
    0,
  );
  return planOf([sequence.take(numTokens)], { blockSize: 16, vocabLimit: 1000 });
}

/** Makes a mask of the vocabulary of 1000 that allows these tokens alone. */
function maskOf(tokenIds: readonly number[]): Uint32Array {
  const mask = new Uint32Array(Math.ceil(1000 / 32));
  for (const id of tokenIds) mask[id >>> 5] = (mask[id >>> 5] ?? 0) | (1 << (id & 31));
  return mask;
}

/** Makes a prefill whose output may only be a token of the mask. */
function masked(allowedTokens: Uint32Array): StepPlan {
  const plan = prefill(20);
  return {
    ...plan,
    outputs: plan.outputs.map((output) => ({
      ...output,
      sample: output.sample && { ...output.sample, allowedTokens },
    })),
  };
}

/** Damages the output of a prefill. */
function outputOf(plan: StepPlan, damage: object) {
  return { outputs: plan.outputs.map((output) => ({ ...output, ...damage })) };
}

/** Damages its parameters of sampling. */
function sampleOf(plan: StepPlan, damage: object) {
  return outputOf(plan, { sample: { ...plan.outputs[0]?.sample, ...damage } });
}

/** Adds a damaged output that scores a token. */
function scoreOf(plan: StepPlan, damage: object) {
  const { outputs } = outputOf(plan, { sample: null, ...damage });
  return { outputs: [...plan.outputs, ...outputs] };
}

async function withDecoder(use: (decoder: Decoder) => Promise<void>): Promise<void> {
  const decoder = await loadDecoder(OPTIONS);
  try {
    await use(decoder);
  } finally {
    await decoder.close();
  }
}

/** Returns how many threads this process has. */
function numThreads(): number {
  return readdirSync('/proc/self/task').length;
}

describe('the threads of a decoder', () => {
  it('are as many as it may have: the engine is one, and others help it', async () => {
    const cores = devices()[0]?.cores.length ?? 0;
    for (const threads of [1, 2, 1000]) {
      const before = numThreads();
      const decoder = await loadDecoder({ ...OPTIONS, device: 'cpu', threads });
      const during = numThreads();
      await decoder.close();

      assert.ok(during - before <= Math.min(threads, cores), `${threads}: ${during - before}`);
      assert.ok(during > before);
      assert.equal(numThreads(), before);
    }
  });

  it('are at least one', async () => {
    for (const threads of [0, -1, 1025]) {
      await assert.rejects(
        loadDecoder({ ...OPTIONS, threads }),
        engineRefusal('INVALID_REQUEST', /threads: expected 1\.\.1024/),
      );
    }
  });
});

describe('a decoder', () => {
  it('describes what was loaded', () =>
    withDecoder(async ({ description }) => {
      assert.equal(description.modelType, 'glm4');
      assert.equal(description.vocabSize, 1000);
      assert.equal(description.weightDtype, 'float32');
      assert.equal(description.blockSize, 16);
      // A block holds keys and values of 16 tokens: 4 layers, 2 heads of 32 float32 values.
      assert.equal(description.numBlocks, (32 * 1024 * 1024) / (2 * 4 * 2 * 32 * 4 * 16));
      assert.equal(description.mropeSection, null);
    }));

  it('has no row pool on a CPU, whose rows are in memory of the host', () =>
    withDecoder(async (decoder) => {
      const { rowPoolBytes, reachableDevices } = decoder.description;
      const media = { firstToken: 0, numRows: 1, dtype: 'float32', poolOffset: 0 } as const;
      const pool = { numBytes: 1024, handle: new Uint8Array(64) };
      const copy = { source: 0, sourceOffset: 0, targetOffset: 0, numBytes: 4 };

      assert.deepEqual([rowPoolBytes, reachableDevices], [0, []]);
      await assert.rejects(
        decoder.execute({ ...prefill(20), mediaRows: [media] }),
        engineRefusal('INVALID_REQUEST', /no float32 rows of the row pool of 0/),
      );
      await assert.rejects(
        decoder.openRowPool(pool),
        engineRefusal('INVALID_REQUEST', /the decoder has none/),
      );
      await assert.rejects(
        decoder.openRowPool({ ...pool, handle: new Uint8Array(63) }),
        engineRefusal('INVALID_REQUEST', /a handle of 64 bytes/),
      );
      await assert.rejects(
        decoder.copyRows(copy),
        engineRefusal('INVALID_REQUEST', /no pool 0 is open/),
      );
      await assert.rejects(
        loadDecoder({ ...OPTIONS, rowPoolBytes: 1024 }),
        engineRefusal('INVALID_REQUEST', /no memory of its own/),
      );
    }));

  it('runs steps that were handed over together, in their order', () =>
    withDecoder(async (decoder) => {
      const finished: number[] = [];

      await Promise.all(
        [0, 1, 2, 3].map((i) => decoder.execute(prefill(20 + i)).then(() => finished.push(i))),
      );

      assert.deepEqual(finished, [0, 1, 2, 3]);
    }));

  it('refuses a bad plan with what is wrong, and runs the next', () =>
    withDecoder(async (decoder) => {
      const plan = prefill(20);
      const blockTables = plan.blockTables.map((block) => block + 1_000_000);

      await assert.rejects(
        decoder.execute({ ...plan, blockTables }),
        engineRefusal('INVALID_REQUEST', /block 1000000 does not exist/),
      );
      assert.equal((await decoder.execute(plan)).tokenIds.length, 1);
    }));

  it('chooses among the tokens of a mask', () =>
    withDecoder(async (decoder) => {
      const allowed = [7, 31, 32, 999];

      const { tokenIds, failures } = await decoder.execute(masked(maskOf(allowed)));

      assert.deepEqual(failures, []);
      assert.ok(allowed.includes(tokenIds[0] ?? -1), `token ${tokenIds[0]} is not in the mask`);
      const every = await decoder.execute(masked(new Uint32Array(32).fill(0xffff_ffff)));
      assert.deepEqual(every.tokenIds, (await decoder.execute(prefill(20))).tokenIds);
    }));

  it('fails an output whose mask allows nothing or has another length, and only it', () =>
    withDecoder(async (decoder) => {
      const cases: readonly (readonly [Uint32Array, RegExp])[] = [
        [new Uint32Array(32), /forbid every token/],
        [new Uint32Array(31), /allowedTokens has 31 entries, expected 32/],
        [new Uint32Array(0), /allowedTokens has 0 entries, expected 32/],
      ];
      for (const [mask, pattern] of cases) {
        const plan = masked(mask);
        const outputs = [...plan.outputs, ...prefill(20).outputs];

        const { failures } = await decoder.execute({ ...plan, outputs });

        assert.deepEqual(
          failures.map(({ output }) => output),
          [0],
        );
        engineRefusal('INVALID_REQUEST', pattern)(failures[0]?.error);
      }
    }));

  it('refuses values of the wrong type by their name', () =>
    withDecoder(async (decoder) => {
      const plan = prefill(20);
      const damages: readonly (readonly [RegExp, object])[] = [
        [/tokenIds: expected a Uint32Array/, { tokenIds: [1, 2, 3] }],
        [/positions: expected an Int32Array/, { positions: null }],
        [/maxBlocksPerSequence: expected an integer/, { maxBlocksPerSequence: 1.5 }],
        [/outputs\[0\]: token: expected an integer/, outputOf(plan, { token: 1.5 })],
        [/outputs\[0\]: numLogprobs: expected an integer/, outputOf(plan, { numLogprobs: 'all' })],
        [/outputs\[1\]: targetToken: expected an integer/, scoreOf(plan, { targetToken: -1 })],
        [/outputs\[0\]: topK: expected an integer/, sampleOf(plan, { topK: 2 ** 32 })],
        [/outputs\[0\]: position: expected an integer/, sampleOf(plan, { position: undefined })],
        [/mediaRows\[0\]: rows: expected a Uint8Array/, { mediaRows: [mediaRowsOf('none')] }],
      ];
      for (const [pattern, damage] of damages) {
        // The type is broken on purpose, because callers outside this package may pass other values
        // to the addon.
        const broken: typeof plan = Object.assign({}, plan, damage);
        await assert.rejects(decoder.execute(broken), engineRefusal('INVALID_REQUEST', pattern));
      }
    }));

  it('hands on the exception of a getter', () =>
    withDecoder(async (decoder) => {
      const plan = Object.defineProperty({ ...prefill(20) }, 'positions', {
        get: () => {
          throw new RangeError('from the getter');
        },
      });

      await assert.rejects(decoder.execute(plan), /from the getter/);
    }));

  it('rejects every call after closing, and closing again does nothing', async () => {
    const decoder = await loadDecoder(OPTIONS);
    await decoder.close();
    await decoder.close();

    await assert.rejects(decoder.execute(prefill()), engineRefusal('ENGINE_CLOSED'));
    await assert.rejects(decoder.trace(Uint32Array.of(1)), engineRefusal('ENGINE_CLOSED'));
  });

  it('settles every step that waits when it is closed', async () => {
    const decoder = await loadDecoder(OPTIONS);
    const steps = Array.from({ length: 20 }, () => decoder.execute(prefill()));

    const settled = Promise.allSettled(steps);
    await decoder.close();

    const rejected = (await settled).filter((step) => step.status === 'rejected');
    for (const { reason } of rejected) engineRefusal('ENGINE_CLOSED')(reason);
    assert.ok(rejected.length > 0, 'not all of 20 steps end before the flag is seen');
  });

  it('may be closed while it loads another', async () => {
    const decoder = await loadDecoder(OPTIONS);
    const other = loadDecoder(OPTIONS);

    await decoder.close();

    await (await other).close();
  });

  it('refuses what cannot be loaded with the reason', async () => {
    const directory = '/nowhere';
    await assert.rejects(
      loadDecoder({ ...OPTIONS, model: { directory } }),
      engineRefusal('INVALID_CHECKPOINT', /\/nowhere\/config\.json/),
    );
    await assert.rejects(
      loadDecoder({ ...OPTIONS, device: 'cuda:0' }),
      engineRefusal('UNSUPPORTED', /cuda:0/),
    );
    await assert.rejects(
      loadDecoder({ ...OPTIONS, device: 'tpu' }),
      engineRefusal('INVALID_REQUEST', /"tpu" is not one of: cpu/),
    );
    await assert.rejects(
      loadDecoder({ ...OPTIONS, kvCacheBytes: 10 }),
      engineRefusal('INVALID_REQUEST', /one block of 16 tokens takes/),
    );
  });

  it('ends with its worker, in the middle of a step', async () => {
    const work: BusyWork = { kind: 'steps', options: OPTIONS };
    const worker = startThread(import.meta.resolve('#test/parity/busy-worker.ts'), {
      workerData: work,
    });
    await once(worker, 'message');

    const status = await worker.terminate();

    assert.equal(status, 1);
  });
});

function mediaRowsOf(rows: string) {
  return { firstToken: 0, numRows: 1, dtype: 'float32', rows };
}
