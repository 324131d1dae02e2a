import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { loadEncoder } from '#native';
import { GoldenTensors } from '#test/parity/golden-tensors.ts';
import { type Answer, pngOf, startSpeech, startVision } from './harness.ts';

const PHONE_NANO = join(PACKAGE_ROOT, 'deploy/models/phone-nano');
const GLM4V_TINY = join(PACKAGE_ROOT, 'test/testdata/glm4v-tiny');

/** Joins all rows of an answer. */
function rowsOf(answer: Answer): Float32Array {
  const parts = answer.events.flatMap((event) => (event.kind === 'rows' ? [event.rows.data] : []));
  return new Float32Array(new Uint8Array(Buffer.concat(parts)).buffer);
}

/** Returns ‖a − b‖ / ‖b‖. */
function relativeError(a: Float32Array, b: Float32Array | Int32Array): number {
  let [difference, size] = [0, 0];
  for (const [i, expected] of b.entries()) {
    difference += ((a[i] ?? 0) - expected) ** 2;
    size += expected ** 2;
  }
  return Math.sqrt(difference / size);
}

describe('encoder services with real towers', () => {
  it('give the reference embeddings of GLM-4V images', async (test) => {
    const golden = await GoldenTensors.read(join(GLM4V_TINY, 'golden.safetensors'));
    const options = { model: GLM4V_TINY };
    const { encode } = await startVision(test, { options, load: loadEncoder });

    for (const k of [0, 1, 2, 3]) {
      const content = readFileSync(join(GLM4V_TINY, `images/${k}.png`));
      const answer = await encode({ header: {}, content });

      const { shape, values } = golden.get(`image${k}.embeddings`);
      assert.equal(answer.numRows, shape[0], `image ${k}: rows`);
      const error = relativeError(rowsOf(answer), values);
      assert.ok(error < 2e-4, `image ${k}: relative error ${error}`);
    }
  });

  it('give 72 rows of a phone-nano screenshot, the same from the cache', async (test) => {
    const options = { model: PHONE_NANO };
    const { encode } = await startVision(test, { options, load: loadEncoder });
    const content = readFileSync(join(PHONE_NANO, 'media/image0.png'));

    const first = await encode({ header: {}, content });
    const second = await encode({ header: {}, content });

    assert.equal(first.numRows, 72);
    assert.equal(second.cacheHit, true);
    assert.deepEqual(rowsOf(second), rowsOf(first));
    assert.ok(rowsOf(first).every(Number.isFinite));
  });

  it('give the rows of a phone-nano utterance, whether it is a file or live', async (test) => {
    const options = { model: PHONE_NANO };
    const { encode } = await startSpeech(test, { options, load: loadEncoder });
    const content = readFileSync(join(PHONE_NANO, 'media/audio39.wav'));
    const numSamples = (content.length - content.indexOf('data') - 8) / 2;
    const frames = Math.floor((Math.floor((Math.floor(numSamples / 160) - 1) / 2) + 1 - 1) / 2) + 1;

    const file = await encode({ header: {}, content });
    const live = await encode({
      header: { mediaType: 'audio/L16;rate=16000' },
      content: content.subarray(-2 * numSamples),
    });

    assert.equal(file.numRows, Math.floor(frames / 2));
    assert.deepEqual(rowsOf(live), rowsOf(file));
  });

  it('refuse an image of 250:1 and go on', async (test) => {
    const options = { model: GLM4V_TINY };
    const { encode } = await startVision(test, { options, load: loadEncoder });

    const thin = encode({ header: {}, content: await pngOf(1, { width: 2500, height: 10 }) });

    await assert.rejects(thin, { reason: 'INVALID_REQUEST' });
    const small = await encode({
      header: {},
      content: await pngOf(1, { width: 4, height: 4 }),
    });
    assert.ok(small.numRows > 0);
  });
});
