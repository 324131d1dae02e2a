import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { startThread } from '#mesh/thread.ts';
import {
  type DecodedImage,
  type EncoderOptions,
  type LoadedEncoder,
  limitSharing,
  loadEncoder,
  mapShared,
  sharedBytes,
} from '#native';
import { plannedItem } from '#test/planned-item.ts';
import { README } from '#test/readme.ts';
import { engineRefusal } from '#test/refusal.ts';
import type { BusyWork } from './busy-worker.ts';

const IMAGE_MODEL = join(PACKAGE_ROOT, 'test/testdata/glm4v-tiny');
const AUDIO_MODEL = join(PACKAGE_ROOT, 'test/testdata/conformer-tiny');

const OPTIONS: EncoderOptions = {
  modelDirectory: IMAGE_MODEL,
  modality: 'image',
  device: 'cpu',
  weightDtype: 'auto',
};

const SCREENSHOT = { width: 1080, height: 2400 };
const OWN_BOUNDS = { maxPixels: null, minPixels: null, maxPixelsMode: 'ignore' } as const;

function image({
  width,
  height,
}: {
  readonly width: number;
  readonly height: number;
}): DecodedImage {
  const rgb = new Uint8Array(width * height * 3).map((_, i) => (i * 37) % 251);
  return { kind: 'image', rgb, width, height };
}

async function withEncoder(use: (encoder: LoadedEncoder) => Promise<void>, options = OPTIONS) {
  const encoder = await loadEncoder(options);
  try {
    await use(encoder);
  } finally {
    await encoder.close();
  }
}

describe('an encoder', () => {
  it('describes what was loaded, and loads no more than its tower', () =>
    withEncoder(async ({ description }) => {
      assert.equal(description.modality, 'image');
      assert.equal(description.modelType, 'glm4v_vision');
      assert.equal(description.hiddenSize, 128);
      assert.equal(description.weightDtype, 'float32');
      assert.equal(description.sampleRateHz, 0);
      assert.equal(description.maxRows, 6144);
      assert.equal(description.maxBatchCells, 8192);
      // With the language model there would be more: its embeddings and head alone are 1.5 MB.
      assert.ok(description.weightBytes < 1e6, `${description.weightBytes} bytes`);
    }));

  it('describes a speech tower by its sample rate and longest recording', () =>
    withEncoder(
      async ({ description }) => {
        assert.equal(description.modality, 'audio');
        assert.equal(description.sampleRateHz, 16_000);
        assert.equal(description.maxRows, 5000);
      },
      { ...OPTIONS, modelDirectory: AUDIO_MODEL, modality: 'audio' },
    ));

  it('plans a screenshot in each of the three readings of max_pixels', () =>
    withEncoder(async (encoder) => {
      const plan = (maxPixelsMode: 'ignore' | 'volume' | 'area') =>
        encoder.plan({
          kind: 'image',
          ...SCREENSHOT,
          options: { maxPixels: 5_000_000, minPixels: null, maxPixelsMode },
        });

      assert.deepEqual(plan('ignore'), { numRows: 3354, grid: { t: 1, h: 172, w: 78 } });
      assert.deepEqual(plan('area'), plan('ignore'));
      assert.deepEqual(plan('volume'), { numRows: 3108, grid: { t: 1, h: 168, w: 74 } });
    }));

  it('spends on a screenshot what the README says, and less under max_pixels', () =>
    withEncoder(async (encoder) => {
      const rows = (maxPixels: number | null) =>
        encoder.plan({
          kind: 'image',
          ...SCREENSHOT,
          options: { maxPixels, minPixels: null, maxPixelsMode: maxPixels ? 'area' : 'ignore' },
        }).numRows;

      const [, bounds = '', costs = ''] =
        /<!-- screenshot cost -->\n\|([^\n]+)\n[^\n]+\n\|([^\n]+)/.exec(README) ?? [];
      const numbersOf = (line: string) => line.match(/\d+/g)?.map(Number) ?? [];

      assert.deepEqual([null, ...numbersOf(bounds)].map(rows), numbersOf(costs));
      assert.equal(numbersOf(costs).length, 5);
    }));

  it('has no row pool on a CPU, whose rows are in memory of the host', () =>
    withEncoder(async (encoder) => {
      const { rowPool, rowPoolRefusal } = encoder.description;
      const item = plannedItem(encoder, image({ width: 64, height: 64 }));

      assert.deepEqual([rowPool, rowPoolRefusal], [null, '']);
      await assert.rejects(
        Promise.all(encoder.encode([{ ...item, poolOffset: 0 }])),
        engineRefusal('INVALID_REQUEST', /not a part of the row pool of 0/),
      );
      await assert.rejects(
        encoder.readRows({ poolOffset: 0, numRows: 1 }),
        engineRefusal('INVALID_REQUEST', /not a part of the row pool of 0/),
      );
      await assert.rejects(
        loadEncoder({ ...OPTIONS, rowPoolBytes: 1024 }),
        engineRefusal('INVALID_REQUEST', /no memory of its own/),
      );
    }));

  it('gives each item of a call its own outcome', () =>
    withEncoder(async (encoder) => {
      const picture = image({ width: 100, height: 60 });
      const small = plannedItem(encoder, picture);
      const [first, foreign, short, last] = await Promise.allSettled(
        encoder.encode([
          small,
          { ...small, grid: { t: 1, h: 1, w: 6000 } },
          { ...picture, rgb: picture.rgb.subarray(3), grid: small.grid },
          small,
        ]),
      );

      assert(first?.status === 'fulfilled' && last?.status === 'fulfilled');
      assert.deepEqual(first.value.rows, last.value.rows);
      assert.equal(first.value.rows.length, first.value.plan.numRows * 128);
      assert(foreign?.status === 'rejected' && short?.status === 'rejected');
      engineRefusal('INVALID_REQUEST', /the grid does not fit the item/)(foreign.reason);
      engineRefusal('INVALID_REQUEST', /expected height \* width \* 3 = 18000/)(short.reason);
    }));

  it('puts rows of some size into shared memory while it has room, with the same values', async () => {
    const picture = image({ width: 200, height: 300 });
    const encodeOnce = async (encoder: LoadedEncoder) => {
      const [encoded] = await Promise.all(encoder.encode([plannedItem(encoder, picture)]));
      assert.ok(encoded !== undefined);
      return encoded;
    };
    let expected = new Float32Array();
    await withEncoder(async (encoder) => {
      const { rows, shared } = await encodeOnce(encoder);
      assert.equal(shared, undefined);
      expected = rows.slice();
    });
    limitSharing(sharedBytes() + expected.byteLength);

    const check = async (encoder: LoadedEncoder) => {
      const inside = await encodeOnce(encoder);
      const beyond = await encodeOnce(encoder);

      assert.ok(inside.shared !== undefined);
      const { descriptor, token } = inside.shared;
      const numBytes = expected.byteLength;
      const mapped = mapShared({ processId: process.pid, descriptor, numBytes, token });
      assert.deepEqual(inside.rows, expected);
      assert.deepEqual(new Float32Array(mapped.buffer, 0, expected.length), expected);
      assert.equal(beyond.shared, undefined);
      assert.deepEqual(beyond.rows, expected);
    };
    await withEncoder(check, { ...OPTIONS, minSharedBytes: expected.byteLength });
    await withEncoder(
      async (encoder) => assert.equal((await encodeOnce(encoder)).shared, undefined),
      { ...OPTIONS, minSharedBytes: expected.byteLength + 1 },
    );
  });

  it('plans no picture that is impossible', () =>
    withEncoder(async (encoder) => {
      assert.throws(
        () => encoder.plan({ kind: 'image', width: 6000, height: 1, options: OWN_BOUNDS }),
        engineRefusal('INVALID_REQUEST', /aspect ratio is above 200: 6000x1/),
      );
    }));

  it('gives a recording as many rows at another sample rate', () =>
    withEncoder(
      async (encoder) => {
        const wave = (rate: number) => {
          const samples = Float32Array.from(
            { length: rate },
            (_, i) => Math.sin((i / rate) * 2000) * 0.5,
          );
          return plannedItem(encoder, { kind: 'audio', samples, sampleRateHz: rate });
        };
        const [direct, resampled] = await Promise.all(encoder.encode([wave(16_000), wave(48_000)]));

        assert.deepEqual(direct?.plan, resampled?.plan);
        assert.equal(direct?.plan.numRows, 25);
      },
      { ...OPTIONS, modelDirectory: AUDIO_MODEL, modality: 'audio' },
    ));

  it('refuses facts and items of the wrong type by their name', () =>
    withEncoder(async (encoder) => {
      const item = plannedItem(encoder, image({ width: 100, height: 60 }));
      const facts = { kind: 'image', width: 100, height: 60, options: OWN_BOUNDS } as const;
      // The type is broken on purpose, because callers outside this package may pass other values
      // to the addon.
      const broken = <T extends object>(whole: T, damage: object): T =>
        Object.assign({}, whole, damage);
      const damages: readonly (readonly [RegExp, object])[] = [
        [/rgb: expected a Uint8Array/, { rgb: [1, 2, 3] }],
        [/kind: expected image, audio or features/, { kind: 'smell' }],
        [/width: expected 0\.\./, { width: -100 }],
        [/grid: expected an object/, { grid: 7 }],
      ];
      for (const [pattern, damage] of damages) {
        const [encoded] = encoder.encode([broken(item, damage)]);
        await assert.rejects(Promise.resolve(encoded), engineRefusal('INVALID_REQUEST', pattern));
      }
      const wrongFacts: readonly (readonly [RegExp, object])[] = [
        [/options: expected an object/, { options: 7 }],
        [
          /maxPixels: expected at least 1/,
          { options: { maxPixels: 0, minPixels: null, maxPixelsMode: 'area' } },
        ],
        [
          /maxPixelsMode: expected ignore/,
          { options: { maxPixels: 9, minPixels: null, maxPixelsMode: 'most' } },
        ],
        [/width: expected 0\.\./, { width: -100 }],
      ];
      for (const [pattern, damage] of wrongFacts) {
        assert.throws(
          () => encoder.plan(broken(facts, damage)),
          engineRefusal('INVALID_REQUEST', pattern),
        );
      }
      assert.throws(
        () => encoder.plan({ ...facts, width: 0 }),
        engineRefusal('INVALID_REQUEST', /the image is empty: 0x60/),
      );
      assert.throws(
        () => encoder.plan({ kind: 'audio', numSamples: 16_000, sampleRateHz: 16_000 }),
        engineRefusal('INVALID_REQUEST', /a recording was sent to a vision encoder/),
      );
    }));

  it('rejects an aborted item with the reason of its signal, and encodes the others', () =>
    withEncoder(async (encoder) => {
      const abort = new AbortController();
      const reason = new Error('the client left');
      const [large, small] = encoder.encode(
        [image(SCREENSHOT), image({ width: 28, height: 28 })].map((decoded) =>
          plannedItem(encoder, decoded),
        ),
        { signals: [abort.signal] },
      );

      await setImmediate();
      abort.abort(reason);

      await assert.rejects(Promise.resolve(large), reason);
      assert.equal((await small)?.plan.numRows, 9);
    }));

  it('does not begin an item whose signal was aborted before', () =>
    withEncoder(async (encoder) => {
      const reason = new Error('too late');

      const [encoded] = encoder.encode([plannedItem(encoder, image(SCREENSHOT))], {
        signals: [AbortSignal.abort(reason)],
      });

      await assert.rejects(Promise.resolve(encoded), reason);
    }));

  it('interrupts what runs and what waits when it is closed', async () => {
    const encoder = await loadEncoder(OPTIONS);
    const items = Array.from({ length: 20 }, () => plannedItem(encoder, image(SCREENSHOT)));
    const settled = Promise.allSettled(items.flatMap((item) => encoder.encode([item])));

    await setImmediate();
    await encoder.close();

    const rejected = (await settled).filter((item) => item.status === 'rejected');
    for (const { reason } of rejected) engineRefusal('ENGINE_CLOSED')(reason);
    assert.ok(rejected.length > 0, 'not all of 20 screenshots end before the flag is seen');
  });

  it('refuses every call after closing, and closing again does nothing', async () => {
    const encoder = await loadEncoder(OPTIONS);
    const facts = { kind: 'image', width: 28, height: 28, options: OWN_BOUNDS } as const;
    const item = plannedItem(encoder, image(facts));
    await encoder.close();
    await encoder.close();

    const [encoded] = encoder.encode([item]);
    await assert.rejects(Promise.resolve(encoded), engineRefusal('ENGINE_CLOSED'));
    await assert.rejects(encoder.trace(item), engineRefusal('ENGINE_CLOSED'));
    assert.throws(() => encoder.plan(facts), engineRefusal('ENGINE_CLOSED'));
  });

  it('refuses what cannot be loaded with the reason', async () => {
    await assert.rejects(
      loadEncoder({ ...OPTIONS, modelDirectory: '/nowhere' }),
      engineRefusal('INVALID_CHECKPOINT', /\/nowhere\/config\.json/),
    );
    await assert.rejects(
      loadEncoder({ ...OPTIONS, modality: 'audio' }),
      engineRefusal('UNSUPPORTED', /no supported speech tower/),
    );
    await assert.rejects(
      loadEncoder({ ...OPTIONS, device: 'cuda:0' }),
      engineRefusal('UNSUPPORTED', /cuda:0/),
    );
  });

  it('ends with its worker, in the middle of a picture', async () => {
    const work: BusyWork = {
      kind: 'pictures',
      options: OPTIONS,
      size: SCREENSHOT,
      bounds: OWN_BOUNDS,
    };
    const worker = startThread(import.meta.resolve('#test/parity/busy-worker.ts'), {
      workerData: work,
    });
    await once(worker, 'message');

    const status = await worker.terminate();

    assert.equal(status, 1);
  });
});
