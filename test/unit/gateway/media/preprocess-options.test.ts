import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseProcessorKwargs, preprocessOptions } from '#gateway/media/preprocess-options.ts';
import { MaxPixelsMode } from '#protos/autoglm/common/v1/media.ts';
import { refusalOf } from '#test/unit/gateway/refusal.ts';

const { MAX_PIXELS_MODE_IGNORE, MAX_PIXELS_MODE_VOLUME, MAX_PIXELS_MODE_AREA } = MaxPixelsMode;

describe('parseProcessorKwargs', () => {
  for (const [reading, maxPixelsMode] of [
    ['ignore', MAX_PIXELS_MODE_IGNORE],
    ['volume', MAX_PIXELS_MODE_VOLUME],
    ['area', MAX_PIXELS_MODE_AREA],
  ] as const) {
    it(`reads Open-AutoGLM's launch flag as ${reading}`, () => {
      assert.deepEqual(parseProcessorKwargs('{"max_pixels":5000000}', reading), {
        maxPixels: 5_000_000n,
        maxPixelsMode,
      });
    });
  }

  it('leaves the budget to the checkpoint when it is not named', () => {
    assert.equal(parseProcessorKwargs('{}', 'volume').maxPixels, undefined);
  });

  it('refuses text that is not JSON, naming the key', () => {
    const error = refusalOf(() => parseProcessorKwargs('max_pixels=5', 'ignore'));

    assert.equal(error.param, 'mm-processor-kwargs');
    assert.match(error.message, /not valid JSON/);
  });
});

describe('preprocessOptions', () => {
  for (const [kwargs, param, message] of [
    [[], 'mm_processor_kwargs', /must be an object, got a list/],
    [{ max_pixels: 0 }, 'mm_processor_kwargs.max_pixels', /integer from 1, got 0/],
    [{ max_pixels: 1.5 }, 'mm_processor_kwargs.max_pixels', /got 1.5/],
    [{ max_pixels: '5' }, 'mm_processor_kwargs.max_pixels', /got "5"/],
    [{ min_pixels: 1 }, 'mm_processor_kwargs.min_pixels', /known is max_pixels/],
  ] as const) {
    it(`refuses ${JSON.stringify(kwargs)}, naming the field`, () => {
      const error = refusalOf(() =>
        preprocessOptions({ kwargs, reading: 'ignore', param: 'mm_processor_kwargs' }),
      );

      assert.equal(error.reason, 'INVALID_REQUEST');
      assert.equal(error.param, param);
      assert.match(error.message, message);
    });
  }
});
