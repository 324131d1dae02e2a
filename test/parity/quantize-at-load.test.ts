import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { loadDecoder as loadServedDecoder } from '#backbone/load-decoder.ts';
import { backboneOptions } from '#backbone/options.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type DecoderOptions, loadDecoder, loadEncoder, type Quantize } from '#native';
import { memoryLog } from '#test/memory-log.ts';
import { plannedItem } from '#test/planned-item.ts';
import { engineRefusal } from '#test/refusal.ts';
import { errorRow } from './report.ts';

const PHONE_NANO = join(PACKAGE_ROOT, 'deploy/models/phone-nano');

function relativeError(ours: Float32Array, reference: Float32Array): number {
  return errorRow('', ours, reference, 0).relativeError ?? Number.NaN;
}

async function logits(options: Partial<DecoderOptions>): Promise<Float32Array> {
  const decoder = await loadDecoder({
    model: { directory: PHONE_NANO },
    device: 'cpu',
    weightDtype: 'auto',
    activationDtype: 'float32',
    blockSize: 16,
    kvCacheBytes: 16 * 1024 * 1024,
    maxNumBatchedTokens: 64,
    ...options,
  });
  try {
    return (await decoder.trace(Uint32Array.from({ length: 24 }, (_, i) => 7 * i + 1))).logits;
  } finally {
    await decoder.close();
  }
}

async function screenshotRows(quantize: Quantize): Promise<Float32Array> {
  const encoder = await loadEncoder({
    modelDirectory: PHONE_NANO,
    modality: 'image',
    device: 'cpu',
    weightDtype: 'auto',
    quantize,
  });
  try {
    assert.equal(encoder.description.quantization.startsWith('int'), quantize !== 'none');
    const size = { width: 192, height: 384 };
    const rgb = new Uint8Array(size.width * size.height * 3).map((_, i) => (i * 37) % 251);
    const trace = await encoder.trace(plannedItem(encoder, { kind: 'image', rgb, ...size }));
    return trace.states;
  } finally {
    await encoder.close();
  }
}

describe('rounding weights at load', () => {
  it('moves the logits a little with int8, more with int4, and less without the head', async () => {
    const exact = await logits({});

    const int8 = relativeError(await logits({ quantize: 'int8' }), exact);
    const int4 = relativeError(await logits({ quantize: 'int4' }), exact);
    const layers = await logits({ quantize: 'int4', quantizeHead: false });

    assert(int8 > 1e-4 && int8 < 2e-2, `int8: ${int8}`);
    assert(int4 > int8 && int4 < 2e-1, `int4: ${int4}`);
    const error = relativeError(layers, exact);
    assert(error > int8 && error < int4, `int4 without the head: ${error}, with it: ${int4}`);
  });

  it('moves the rows of a tower a little', async () => {
    const exact = await screenshotRows('none');

    const int8 = relativeError(await screenshotRows('int8'), exact);
    const int4 = relativeError(await screenshotRows('int4'), exact);

    assert(int8 > 1e-4 && int8 < 3e-2, `int8: ${int8}`);
    assert(int4 > int8 && int4 < 3e-1, `int4: ${int4}`);
  });

  it('is what the options of a backbone say, and the log names it', async () => {
    const values = { model: PHONE_NANO, quantize: 'int4', quantizeHead: false, kvCacheGb: 0.1 };
    const options = resolveOptions(backboneOptions, values, {});
    const { log, lines } = memoryLog();

    const decoder = await loadServedDecoder(
      options,
      await readModelFiles(PHONE_NANO, undefined),
      log,
    );
    await decoder.close();

    assert.equal(decoder.description.quantization, 'int4 in groups of 128, head bfloat16');
    const [last] = lines.slice(-1);
    assert.match(last?.msg ?? '', /phone-nano, bfloat16, int4 in groups of 128, head bfloat16,/);
  });

  it('is refused to other integers', async () => {
    // The type does not allow what JavaScript may pass.
    const quantize = 'int3' as unknown as Quantize;

    await assert.rejects(
      logits({ quantize }),
      engineRefusal('INVALID_REQUEST', /quantize: expected none, int8 or int4/),
    );
  });
});
