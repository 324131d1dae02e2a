import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  imagePreprocessing,
  type MaxPixelsReading,
  preprocessingKey,
  WIRE_MAX_PIXELS_MODES,
} from '#mesh/encode/preprocess-options.ts';
import { MaxPixelsMode, PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';
import { refusal } from '#test/refusal.ts';

type Partial = Parameters<typeof PreprocessOptions.fromPartial>[0];

const keyOf = (partial: Partial) =>
  preprocessingKey(imagePreprocessing(PreprocessOptions.fromPartial(partial)));

describe('imagePreprocessing', () => {
  for (const reading of ['volume', 'area'] satisfies MaxPixelsReading[]) {
    it(`reads a budget of ${reading}`, () => {
      const maxPixelsMode = WIRE_MAX_PIXELS_MODES[reading];

      assert.deepEqual(imagePreprocessing({ maxPixels: 9n, maxPixelsMode }), {
        maxPixels: 9,
        minPixels: null,
        maxPixelsMode: reading,
      });
    });
  }

  it('gives everything that leaves the size to the checkpoint one form and one key', () => {
    const without = [
      undefined,
      PreprocessOptions.fromPartial({}),
      ...Object.values(WIRE_MAX_PIXELS_MODES).map((maxPixelsMode) => ({ maxPixelsMode })),
      { maxPixels: 9n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_IGNORE },
      { maxPixels: 9n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_UNSPECIFIED },
    ].map((options) => imagePreprocessing(options));

    for (const form of without) {
      assert.deepEqual(form, { maxPixels: null, minPixels: null, maxPixelsMode: 'ignore' });
      assert.equal(preprocessingKey(form), '');
    }
  });

  it('gives different budgets different keys', () => {
    const { MAX_PIXELS_MODE_AREA, MAX_PIXELS_MODE_VOLUME } = MaxPixelsMode;
    const keys = [
      keyOf({}),
      keyOf({ maxPixels: 9n, maxPixelsMode: MAX_PIXELS_MODE_AREA }),
      keyOf({ maxPixels: 8n, maxPixelsMode: MAX_PIXELS_MODE_AREA }),
      keyOf({ maxPixels: 9n, maxPixelsMode: MAX_PIXELS_MODE_VOLUME }),
      keyOf({ minPixels: 9n, maxPixelsMode: MAX_PIXELS_MODE_VOLUME }),
      keyOf({ maxPixels: 9n, minPixels: 9n, maxPixelsMode: MAX_PIXELS_MODE_VOLUME }),
    ];

    assert.equal(new Set(keys).size, keys.length);
  });

  for (const { name, partial, param, matches } of [
    {
      name: 'no pixels',
      partial: { maxPixels: 0n },
      param: 'options.max_pixels',
      matches: /got 0/,
    },
    {
      name: 'more pixels than a number counts',
      partial: { maxPixels: 2n ** 53n },
      param: 'options.max_pixels',
      matches: /between 1 and 9007199254740991/,
    },
    {
      name: 'no fewest pixels',
      partial: { minPixels: 0n },
      param: 'options.min_pixels',
      matches: /min_pixels must be .* got 0/,
    },
    {
      name: 'a mode nobody knows',
      partial: { maxPixels: 9n, maxPixelsMode: MaxPixelsMode.UNRECOGNIZED },
      param: 'options.max_pixels_mode',
      matches: /max_pixels_mode/,
    },
  ]) {
    it(`refuses ${name}, and names the field or what the caller says`, () => {
      const options = PreprocessOptions.fromPartial(partial);

      assert.throws(() => imagePreprocessing(options), refusal('INVALID_REQUEST', matches, param));
      assert.throws(
        () => imagePreprocessing(options, 'media[3]'),
        refusal('INVALID_REQUEST', matches, 'media[3]'),
      );
    });
  }
});
