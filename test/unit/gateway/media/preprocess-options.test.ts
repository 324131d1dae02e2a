import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseProcessorKwargs, preprocessOptions } from '#gateway/media/preprocess-options.ts';
import type { MaxPixelsReading } from '#mesh/encode/preprocess-options.ts';
import { MaxPixelsMode } from '#protos/autoglm/common/v1/media.ts';
import { refusalOf } from '#test/refusal.ts';

const { MAX_PIXELS_MODE_VOLUME, MAX_PIXELS_MODE_AREA } = MaxPixelsMode;

/** Reads a launch flag; `warnings` gets what has no effect. */
function parse(text: string, reading: MaxPixelsReading, warnings: string[] = []) {
  return parseProcessorKwargs(text, reading, (message) => warnings.push(message));
}

describe('parseProcessorKwargs', () => {
  for (const [reading, maxPixelsMode] of [
    ['volume', MAX_PIXELS_MODE_VOLUME],
    ['area', MAX_PIXELS_MODE_AREA],
  ] as const) {
    it(`reads Open-AutoGLM's launch flag as ${reading}`, () => {
      assert.deepEqual(parse('{"max_pixels":5000000}', reading), {
        maxPixels: 5_000_000n,
        maxPixelsMode,
      });
    });
  }

  it('leaves the budget to the checkpoint when it is not named', () => {
    assert.equal(parse('{}', 'volume').maxPixels, undefined);
  });

  it('warns of a bound that the mode does not read', () => {
    const warnings: string[] = [];

    assert.equal(parse('{"max_pixels":5000000}', 'ignore', warnings).maxPixels, undefined);
    assert.match(warnings.join(), /max_pixels has no effect: max-pixels-mode is ignore/);
  });

  it('warns of options for videos, so that launch lines of other servers start', () => {
    const warnings: string[] = [];

    assert.equal(parse('{"fps":2,"max_pixels":9}', 'area', warnings).maxPixels, 9n);
    assert.match(warnings.join(), /fps has no effect: no videos are taken/);
  });

  it('refuses text that is not JSON, naming the key', () => {
    const error = refusalOf(() => parse('max_pixels=5', 'area'));

    assert.equal(error.param, 'mm-processor-kwargs');
    assert.match(error.message, /not valid JSON/);
  });

  it('refuses a misspelled option, naming the key', () => {
    assert.equal(
      refusalOf(() => parse('{"max_pixel":5}', 'area')).param,
      'mm-processor-kwargs.max_pixel',
    );
  });
});

const read = (kwargs: unknown, reading: MaxPixelsReading = 'area') =>
  preprocessOptions({ kwargs, reading, param: 'mm_processor_kwargs' });

describe('preprocessOptions', () => {
  it('reads both bounds as the server reads them', () => {
    assert.deepEqual(read({ max_pixels: 9, min_pixels: 4 }), {
      maxPixels: 9n,
      minPixels: 4n,
      maxPixelsMode: MAX_PIXELS_MODE_AREA,
    });
  });

  it("reads the bounds of size as the checkpoint's own are read, whatever the server's reading", () => {
    for (const reading of ['area', 'volume', 'ignore'] as const) {
      assert.deepEqual(read({ size: { shortest_edge: 4, longest_edge: 9 } }, reading), {
        maxPixels: 9n,
        minPixels: 4n,
        maxPixelsMode: MAX_PIXELS_MODE_VOLUME,
      });
    }
  });

  it('takes steps that are always done, and null as nothing', () => {
    const kwargs = { do_resize: true, do_rescale: true, do_normalize: true, do_convert_rgb: true };

    assert.deepEqual(read({ ...kwargs, max_pixels: null, fps: null }), {
      maxPixelsMode: MAX_PIXELS_MODE_AREA,
    });
  });

  for (const [kwargs, field, message] of [
    [[], '', /must be an object, got a list/],
    [{ max_pixels: 0 }, '.max_pixels', /integer from 1 to 4294967296, got 0/],
    [{ max_pixels: 1.5 }, '.max_pixels', /got 1.5/],
    [{ max_pixels: 2 ** 32 + 1 }, '.max_pixels', /got 4294967297/],
    [{ max_pixels: '5' }, '.max_pixels', /got "5"/],
    [{ min_pixels: 9, max_pixels: 5 }, '.min_pixels', /at most max_pixels, got 9/],
    [{ size: 5 }, '.size', /shortest_edge and longest_edge/],
    [{ size: { height: 5, width: 5 } }, '.size', /shortest_edge and longest_edge/],
    [{ size: { longest_edge: -1 } }, '.size.longest_edge', /integer from 1/],
    [{ size: { longest_edge: 9 }, max_pixels: 9 }, '.size', /cannot stand beside max_pixels/],
    [{ do_resize: false }, '.do_resize', /can only be true here, got false/],
    [{ do_normalize: 0 }, '.do_normalize', /can only be true here, got 0/],
    [{ patch_size: 14 }, '.patch_size', /checkpoint's and cannot be changed/],
    [{ image_mean: [0, 0, 0] }, '.image_mean', /checkpoint's and cannot be changed/],
    [{ fps: 2 }, '.fps', /is for videos, which this server does not take/],
    [{ num_frames: 2 }, '.num_frames', /is for videos/],
    [{ max_pixel: 5 }, '.max_pixel', /is not known; known are max_pixels, min_pixels, size/],
  ] as const) {
    it(`refuses ${JSON.stringify(kwargs)}, naming the field`, () => {
      const error = refusalOf(() => read(kwargs));

      assert.equal(error.reason, 'INVALID_REQUEST');
      assert.equal(error.param, `mm_processor_kwargs${field}`);
      assert.match(error.message, message);
    });
  }

  it('refuses bounds that the server does not read', () => {
    for (const name of ['max_pixels', 'min_pixels']) {
      const error = refusalOf(() => read({ [name]: 5 }, 'ignore'));

      assert.equal(error.param, `mm_processor_kwargs.${name}`);
      assert.match(error.message, /max-pixels-mode: ignore/);
    }
  });
});
