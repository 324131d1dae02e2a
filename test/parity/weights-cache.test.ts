import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type DecoderOptions, type EncoderOptions, loadDecoder, loadEncoder } from '#native';
import { plannedItem } from '#test/planned-item.ts';

const PHONE_NANO = join(PACKAGE_ROOT, 'deploy/models/phone-nano');
const TESTDATA = join(PACKAGE_ROOT, 'test/testdata');

describe('packed weights that are kept', () => {
  const root = mkdtempSync(join(tmpdir(), 'weights-cache-'));
  after(() => rmSync(root, { recursive: true }));
  let weightsCache = '';
  beforeEach(() => {
    weightsCache = mkdtempSync(join(root, 'cache-'));
  });

  async function logits(options: Partial<DecoderOptions>) {
    const decoder = await loadDecoder({
      model: { directory: PHONE_NANO },
      device: 'cpu',
      weightDtype: 'auto',
      activationDtype: 'bfloat16',
      blockSize: 16,
      kvCacheBytes: 16 * 1024 * 1024,
      maxNumBatchedTokens: 64,
      ...options,
    });
    try {
      const prompt = Uint32Array.from({ length: 24 }, (_, i) => 7 * i + 1);
      const { logits: values } = await decoder.trace(prompt);
      return { values, ...decoder.description };
    } finally {
      await decoder.close();
    }
  }

  async function rows(options: Pick<EncoderOptions, 'modelDirectory' | 'modality'>, kept: boolean) {
    const encoder = await loadEncoder({
      ...options,
      device: 'cpu',
      weightDtype: 'auto',
      quantize: 'int8',
      ...(kept && { weightsCache }),
    });
    try {
      const item =
        options.modality === 'image'
          ? {
              kind: 'image' as const,
              rgb: new Uint8Array(64 * 64 * 3).fill(90),
              width: 64,
              height: 64,
            }
          : {
              kind: 'audio' as const,
              samples: new Float32Array(16_000).map((_, i) => Math.sin(i / 9)),
              sampleRateHz: 16_000,
            };
      const trace = await encoder.trace(plannedItem(encoder, item));
      return { values: trace.rows, outcome: encoder.description.weightsCache?.outcome };
    } finally {
      await encoder.close();
    }
  }

  for (const options of [
    {},
    { quantize: 'int8' },
    { quantize: 'int4', quantizeHead: false },
    { weightDtype: 'float16' },
    { model: { directory: join(TESTDATA, 'glm4-tiny-w4a16') } },
    { model: { directory: join(TESTDATA, 'glm4-tiny-w8a8') } },
    { model: { directory: join(TESTDATA, 'glm4v-tiny-sharded') } },
  ] as const satisfies Partial<DecoderOptions>[]) {
    it(`give a decoder the bits that it reads: ${JSON.stringify(options)}`, async () => {
      const read = await logits(options);
      const written = await logits({ ...options, weightsCache });
      const mapped = await logits({ ...options, weightsCache });

      assert.equal(read.weightsCache, null);
      assert.equal(written.weightsCache?.outcome, 'written');
      assert.equal(mapped.weightsCache?.outcome, 'mapped');
      assert.deepEqual(written.values, read.values);
      assert.deepEqual(mapped.values, read.values);
      assert.equal(mapped.weightBytes, read.weightBytes);
      assert.equal(mapped.quantization, read.quantization);
    });
  }

  for (const options of [
    { modelDirectory: PHONE_NANO, modality: 'image' },
    { modelDirectory: PHONE_NANO, modality: 'audio' },
    { modelDirectory: join(TESTDATA, 'glm4v-tiny'), modality: 'image' },
    { modelDirectory: join(TESTDATA, 'parakeet-tiny'), modality: 'audio' },
  ] as const) {
    const name = `${options.modelDirectory.split('/').at(-1)}, ${options.modality}`;
    it(`give a tower the bits that it reads: ${name}`, async () => {
      const read = await rows(options, false);
      const written = await rows(options, true);
      const mapped = await rows(options, true);

      assert.deepEqual([written.outcome, mapped.outcome], ['written', 'mapped']);
      assert.deepEqual(written.values, read.values);
      assert.deepEqual(mapped.values, read.values);
    });
  }

  it('are of one set of options', async () => {
    await logits({ weightsCache });
    const int8 = await logits({ weightsCache, quantize: 'int8' });
    const float32 = await logits({ weightsCache, quantize: 'int8', activationDtype: 'float32' });

    assert.equal(int8.weightsCache?.outcome, 'written');
    assert.equal(float32.weightsCache?.outcome, 'written');
    assert.equal(readdirSync(weightsCache).filter((file) => file.endsWith('.weights')).length, 3);
  });

  it('are written again for a checkpoint that has changed, and in the place of a damaged file', async () => {
    const directory = join(root, 'model');
    cpSync(PHONE_NANO, directory, { recursive: true });
    const model = { directory };
    const first = await logits({ model, weightsCache });
    cpSync(join(PHONE_NANO, 'model.safetensors'), join(directory, 'model.safetensors'));
    const changed = await logits({ model, weightsCache });
    truncateSync(first.weightsCache?.path ?? '', 10_000);
    const damaged = await logits({ model, weightsCache });

    assert.match(changed.weightsCache?.reason ?? '', /another checkpoint, format or layout/);
    assert.match(damaged.weightsCache?.reason ?? '', /has 10000 bytes, expected/);
    assert.deepEqual(damaged.values, first.values);
    assert.equal(readdirSync(weightsCache).filter((file) => file.endsWith('.weights')).length, 1);
  });
});
