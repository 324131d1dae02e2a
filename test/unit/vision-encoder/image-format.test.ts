import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { DecodedImage } from '#native';
import { MaxPixelsMode, PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';
import { refusal } from '#test/refusal.ts';
import { imageFormat } from '#vision/image-format.ts';
import { refuseManyScans } from '#vision/jpeg-scans.ts';
import { openImage } from '#vision/open-image.ts';

// Pillow made the files and their RGB bytes: exif_transpose, then convert("RGB").
const FIXTURES = join(PACKAGE_ROOT, 'test/testdata/image-formats');

interface GoldenImage {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly rgb_sha256: string;
}

const golden: readonly GoldenImage[] = JSON.parse(
  readFileSync(join(FIXTURES, 'golden.json'), 'utf8'),
);
const limits = { maxImagePixels: 1_000_000 };

function readerOf(bytes: Uint8Array, options?: PreprocessOptions) {
  const reader = imageFormat.begin({ mediaType: '', options });
  for (let at = 0; at < bytes.length; at += 100) reader.push(bytes.subarray(at, at + 100));
  return reader;
}

async function decode(bytes: Uint8Array): Promise<DecodedImage> {
  const opened = await readerOf(bytes).open((file) => openImage(file, limits));
  const item = await opened.load();
  assert.ok(item.kind === 'image');
  assert.deepEqual(
    { width: item.width, height: item.height },
    opened.facts.kind === 'image' && { width: opened.facts.width, height: opened.facts.height },
  );
  return item;
}

function fixture(name: string): Buffer {
  return readFileSync(join(FIXTURES, name));
}

/**
 * Makes a PNG of 16×16 pixels. Chunks without a meaning follow IHDR and pHYs, and empty chunks
 * those of the pixels.
 */
async function pngOfChunks(numChunks: {
  readonly ancillary: number;
  readonly data: number;
}): Promise<Buffer> {
  const still = await sharp(Buffer.alloc(16 * 16 * 3), {
    raw: { width: 16, height: 16, channels: 3 },
  })
    .png()
    .toBuffer();
  const headEnd = 33;
  const pixelsEnd = still.length - 12;
  return Buffer.concat([
    still.subarray(0, headEnd),
    repeatedChunk('zzZz', numChunks.ancillary),
    still.subarray(headEnd, pixelsEnd),
    repeatedChunk('IDAT', numChunks.data),
    still.subarray(pixelsEnd),
  ]);
}

function repeatedChunk(type: string, numChunks: number): Buffer {
  const chunk = Buffer.alloc(12);
  chunk.write(type, 4, 'latin1');
  chunk.writeUInt32BE(crc32(Buffer.from(type, 'latin1')), 8);
  return Buffer.alloc(chunk.length * numChunks, chunk);
}

/** Makes an animation of equal frames of 16×16 pixels. */
async function animatedWebp(numFrames: number): Promise<Buffer> {
  const create = { width: 16, height: 16, channels: 3, background: '#808080' } as const;
  const still = await sharp({ create }).webp().toBuffer();
  const extended = Buffer.from([2, 0, 0, 0, 15, 0, 0, 15, 0, 0]);
  const place = Buffer.from([0, 0, 0, 0, 0, 0, 15, 0, 0, 15, 0, 0, 40, 0, 0, 0]);
  const frame = riffChunk('ANMF', place, still.subarray(12));
  const frames = Buffer.alloc(frame.length * numFrames, frame);
  const head = riffChunk('VP8X', extended);
  return riffChunk('RIFF', Buffer.from('WEBP'), head, riffChunk('ANIM', Buffer.alloc(6)), frames);
}

/** Makes frames of one colour as sharp writes them, each behind an extension. */
async function animatedGif(numFrames: number): Promise<Buffer> {
  const create = { width: 16, height: 16, channels: 3, background: '#808080' } as const;
  const still = await sharp({ create }).gif().toBuffer();
  const headBytes = 13 + 3 * 2 ** (((still[10] ?? 0) & 0x07) + 1);
  const frame = still.subarray(headBytes, -1);
  const frames = Buffer.alloc(frame.length * numFrames, frame);
  return Buffer.concat([still.subarray(0, headBytes), frames, still.subarray(-1)]);
}

function riffChunk(id: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.write(id);
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body]);
}

function flatPng(size: { readonly width: number; readonly height: number }): Promise<Buffer> {
  return sharp({ create: { ...size, channels: 3, background: '#102030' } })
    .png()
    .toBuffer();
}

describe('an image file', () => {
  for (const { file, width, height, rgb_sha256 } of golden) {
    it(`decodes to the pixels Pillow gives: ${file}`, async () => {
      const item = await decode(fixture(file));

      assert.deepEqual([item.width, item.height], [width, height]);
      assert.equal(createHash('sha256').update(item.rgb).digest('hex'), rgb_sha256);
    });
  }

  for (const size of [
    { width: 1, height: 1 },
    { width: 400, height: 3 },
  ]) {
    it(`may have ${size.width}×${size.height} pixels`, async () => {
      const { rgb } = await decode(await flatPng(size));

      const numBytes = size.width * size.height * 3;
      assert.deepEqual([rgb.length, ...rgb.subarray(0, 3)], [numBytes, 0x10, 0x20, 0x30]);
    });
  }

  it('may be a JPEG file of many scans and segments, but not of more than any encoder writes', () => {
    const scan = Buffer.from([0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0, 0x55, 0xff, 0, 0xff, 0xd0]);
    const comment = Buffer.from([0xff, 0xfe, 0, 2]);
    const jpeg = (numScans: number, numComments: number) =>
      Buffer.concat([
        Buffer.from([0xff, 0xd8]),
        Buffer.alloc(4 * numComments, comment),
        Buffer.alloc(scan.length * numScans, scan),
        // What follows the end of the image is not read: phones append a film.
        Buffer.from([0xff, 0xd9]),
        Buffer.alloc(scan.length * 200, scan),
      ]);

    refuseManyScans(jpeg(100, 2048));
    assert.throws(() => refuseManyScans(jpeg(101, 0)), refusal('PAYLOAD_TOO_LARGE', /100 scans/));
    assert.throws(
      () => refuseManyScans(jpeg(1, 2049)),
      refusal('PAYLOAD_TOO_LARGE', /2048 segments/),
    );
  });

  it('is refused when it is no image', async () => {
    const text = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');

    await assert.rejects(
      decode(text),
      refusal('UNSUPPORTED_MEDIA', /not a PNG, JPEG, WebP or GIF/),
    );
  });

  it('is refused in a format that is not on the list', async () => {
    await assert.rejects(
      decode(fixture('picture.tiff')),
      refusal('UNSUPPORTED_MEDIA', /not a PNG, JPEG, WebP or GIF/),
    );
  });

  for (const file of ['rgb.png', 'rgb.jpg', 'lossless.webp', 'still.gif']) {
    it(`is refused when only half of it came: ${file}`, async () => {
      const bytes = fixture(file);

      await assert.rejects(
        decode(bytes.subarray(0, bytes.length / 2)),
        refusal('UNSUPPORTED_MEDIA', /cannot be decoded/),
      );
    });
  }

  it('is refused before decoding when it has too many pixels', async () => {
    const bomb = await sharp({
      create: { width: 4000, height: 3000, channels: 3, background: 'black' },
    })
      .png({ compressionLevel: 1 })
      .toBuffer();

    await assert.rejects(
      decode(bomb),
      refusal('PAYLOAD_TOO_LARGE', /4000×3000 = 12000000 pixels, at most 1000000/),
    );
  });

  for (const [name, animation] of Object.entries({ WebP: animatedWebp, GIF: animatedGif })) {
    it(`is the first frame of an animation, which may have 4096: ${name}`, async () => {
      const { width, rgb } = await decode(await animation(4096));

      assert.equal(width, 16);
      assert.equal(rgb.length, 16 * 16 * 3);
    });

    it(`is refused as an animation of more frames, as each is looked for: ${name}`, async () => {
      await assert.rejects(
        decode(await animation(4097)),
        refusal('PAYLOAD_TOO_LARGE', /animation of more than 4096 frames/),
      );
    });
  }

  it('may have 4096 chunks besides its pixels as a PNG file', async () => {
    const { rgb } = await decode(await pngOfChunks({ ancillary: 4094, data: 10_000 }));

    assert.equal(rgb.length, 16 * 16 * 3);
  });

  it('is refused as a PNG file of more chunks, as each of them may be worth a warning', async () => {
    await assert.rejects(
      decode(await pngOfChunks({ ancillary: 4095, data: 0 })),
      refusal('PAYLOAD_TOO_LARGE', /more than 4096 chunks/),
    );
  });
});

describe('image options', () => {
  function variantOf(partial: Parameters<typeof PreprocessOptions.fromPartial>[0]): string {
    return readerOf(Buffer.alloc(0), PreprocessOptions.fromPartial(partial)).variant;
  }

  it('are part of the cache key where they have an effect', () => {
    const volume = variantOf({
      maxPixels: 5_000_000n,
      maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_VOLUME,
    });
    const area = variantOf({
      maxPixels: 5_000_000n,
      maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_AREA,
    });

    assert.notEqual(volume, area);
    assert.notEqual(volume, variantOf({}));
  });

  it('share a cache key where they mean the same', () => {
    assert.equal(variantOf({ maxPixels: 5_000_000n }), variantOf({}));
    assert.equal(
      variantOf({ maxPixels: 1n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_IGNORE }),
      readerOf(Buffer.alloc(0)).variant,
    );
  });

  it('refuse a budget of no pixels', () => {
    assert.throws(() => variantOf({ maxPixels: 0n }), refusal('INVALID_REQUEST', /max_pixels/));
  });

  it('refuse a mode from a later version', () => {
    assert.throws(
      () => variantOf({ maxPixels: 9n, maxPixelsMode: MaxPixelsMode.UNRECOGNIZED }),
      refusal('INVALID_REQUEST', /max_pixels_mode/),
    );
    // Options are decoded with a mode that has no name, as from a later version.
    const later = PreprocessOptions.decode(Buffer.from([0x08, 9, 0x10, 77]));
    assert.throws(() => variantOf(later), refusal('INVALID_REQUEST', /max_pixels_mode/));
  });
});
