import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { checkMutants, type Specimen } from '#test/mutations.ts';
import { refuseManyFrames } from '#vision/animation.ts';
import { refuseManyScans } from '#vision/jpeg-scans.ts';
import { openImage } from '#vision/open-image.ts';
import { refuseManyChunks } from '#vision/png-chunks.ts';

const FIXTURES = join(PACKAGE_ROOT, 'test/testdata/image-formats');
const MAX_IMAGE_PIXELS = 100_000;

/** Reads a file of testdata as a specimen. No mark is in its first bytes, which tell its format. */
function specimen(name: string, marks: readonly number[] = []): Specimen {
  const bytes = readFileSync(join(FIXTURES, name));
  const fields = marks.map((at) => ({ at, numBytes: 4 }));
  return { name, bytes, marks, fields };
}

/** Offsets at which PNG chunks begin: behind the signature and behind the head. */
const PNG_MARKS = [8, 33];
/** Offsets of RIFF's size, of its first chunk and of that chunk's size. */
const WEBP_MARKS = [4, 12, 16];
/** Offsets of GIF's screen size, of its flags and of the bytes behind its head. */
const GIF_MARKS = [6, 10, 13];

async function decode(bytes: Buffer): Promise<void> {
  const { facts, load } = await openImage(bytes, { maxImagePixels: MAX_IMAGE_PIXELS });
  assert(facts.kind === 'image');
  const rgb = await load();
  assert.equal(rgb.length, facts.width * facts.height * 3);
  assert(facts.width * facts.height <= MAX_IMAGE_PIXELS, `${facts.width}×${facts.height}`);
}

/** Runs a reading and ignores a refusal. */
async function readOrRefused(reading: () => void | Promise<void>): Promise<void> {
  try {
    await reading();
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    assert.match(error.reason, /^(UNSUPPORTED_MEDIA|PAYLOAD_TOO_LARGE)$/);
  }
}

describe('a damaged image is read or refused', () => {
  it('while its frames are counted: GIF and WebP', async () => {
    await checkMutants([specimen('animated.gif', GIF_MARKS)], 3000, (bytes) =>
      readOrRefused(() => refuseManyFrames(bytes, 'gif')),
    );
    await checkMutants([specimen('rgba.webp', WEBP_MARKS)], 1000, (bytes) =>
      readOrRefused(() => refuseManyFrames(bytes, 'webp')),
    );
  });

  it('while its chunks are counted: PNG', async () => {
    await checkMutants([specimen('display-p3.png', PNG_MARKS)], 3000, (bytes) =>
      readOrRefused(() => refuseManyChunks(bytes)),
    );
  });

  it('while its scans are counted: JPEG', async () => {
    await checkMutants([specimen('orient8.jpg', [2, 20])], 3000, (bytes) =>
      readOrRefused(() => refuseManyScans(bytes)),
    );
  });

  it('while it is decoded: every format', async () => {
    const specimens = [
      specimen('orient6.png', PNG_MARKS),
      specimen('palette-transparent.png', PNG_MARKS),
      specimen('animated.gif', GIF_MARKS),
      specimen('lossless.webp', WEBP_MARKS),
      specimen('rgba.webp', WEBP_MARKS),
      specimen('orient8.jpg', [2, 20]),
    ];
    for (const { bytes } of specimens) await decode(bytes);

    await checkMutants(specimens, 60, (bytes) => readOrRefused(() => decode(bytes)));
  });
});
