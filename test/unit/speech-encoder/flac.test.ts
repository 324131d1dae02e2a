import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { refusal } from '#test/refusal.ts';
import { decode, fixture } from './audio-decoding.ts';
import {
  constant,
  differences,
  type FlacFrameShape,
  type FlacSubframe,
  flacFile,
  shifted,
  verbatim,
} from './flac-file.ts';
import { wavFile } from './wav-file.ts';

// The files command.* of testdata are 9000 samples of speech, 16 kHz mono, as each encoder writes
// them with its own settings. ffmpeg wrote one into a pipe and so could not announce the number of
// samples. surround.* are eight tones of 600 samples, 24 bit, by the reference encoder.

const LEFT = [0, 1, -1, 32_767, -32_768, 12, 7];
const RIGHT = [3, 1, -2, -32_768, 32_767, 12, 8];

/** Makes a block of one value. */
function flat(blockSize: number, value = 1000): FlacFrameShape {
  return { blockSize, subframes: [constant(value)] };
}

/** Decodes the mono samples of a block with this subframe. */
async function samplesOf(subframe: FlacSubframe, blockSize: number): Promise<number[]> {
  const item = await decode(flacFile({ frames: [{ blockSize, subframes: [subframe] }] }));
  return [...item.samples].map((value) => value * 2 ** 15);
}

describe('a FLAC file', () => {
  for (const encoder of ['libsndfile', 'sox', 'flac0', 'flac8', 'ffmpeg', 'ffmpeg-pipe']) {
    it(`gives the samples of its WAV file: ${encoder}`, async () => {
      const wav = await decode(fixture('command.wav'));

      const item = await decode(fixture(`command-${encoder}.flac`));

      assert.deepEqual(item, wav);
    });
  }

  it('gives the samples of its WAV file: eight channels of 24 bits', async () => {
    assert.deepEqual(await decode(fixture('surround.flac')), await decode(fixture('surround.wav')));
  });

  it('is read in any cut of its bytes', async () => {
    const file = fixture('command-sox.flac');

    const item = await decode(file, { chunkBytes: 1 });

    assert.deepEqual(item, await decode(fixture('command.wav')));
  });

  const codings = { verbatim: verbatim(LEFT), differences: differences(LEFT) };
  for (const [name, subframe] of Object.entries(codings)) {
    it(`gives its samples coded as ${name}`, async () => {
      assert.deepEqual(await samplesOf(subframe, LEFT.length), LEFT);
    });
  }

  it('gives its samples coded without the low bits that are all zero', async () => {
    const samples = LEFT.map((value) => value - (value % 8));

    assert.deepEqual(await samplesOf(shifted(samples, 3), samples.length), samples);
  });

  const side = LEFT.map((left, i) => left - (RIGHT[i] ?? 0));
  const mid = LEFT.map((left, i) => Math.floor((left + (RIGHT[i] ?? 0)) / 2));
  const pairs = {
    'left-side': [LEFT, side],
    'side-right': [side, RIGHT],
    'mid-side': [mid, side],
  } as const;
  for (const stereo of ['left-side', 'side-right', 'mid-side'] as const) {
    it(`gives the samples of two channels coded as ${stereo}`, async () => {
      const subframes = pairs[stereo].map(verbatim);
      const frames = LEFT.map((left, i) => [left / 2 ** 15, (RIGHT[i] ?? 0) / 2 ** 15]);

      const item = await decode(
        flacFile({ frames: [{ blockSize: LEFT.length, subframes, stereo }] }),
      );

      assert.deepEqual(item, await decode(wavFile(frames, { sampleType: 'int16' })));
    });
  }

  for (const bitsPerSample of [4, 8, 12, 20, 24, 32]) {
    it(`gives the samples of ${bitsPerSample} bits, the extremes of two channels included`, async () => {
      const top = 2 ** (bitsPerSample - 1);
      const subframes = [verbatim([-top, 0]), verbatim([1 - 2 * top, 1])];

      const item = await decode(
        flacFile({ bitsPerSample, frames: [{ blockSize: 2, subframes, stereo: 'left-side' }] }),
      );

      const highest = Math.fround((top - 1) / top);
      assert.deepEqual([...item.samples], [Math.fround((highest - 1) / 2), -0.5 / top]);
    });
  }

  it('may have blocks of any size', async () => {
    const frames = [flat(16), flat(1, 5), flat(4000, 9)];

    for (const isVariable of [false, true]) {
      const item = await decode(flacFile({ isVariable, numSamples: 0, frames }));
      assert.equal(item.samples.length, 4017, `variable: ${isVariable}`);
    }
  });

  it('may have tags before it, pictures in it, padding and tags behind it', async () => {
    const before = Buffer.from('ID3\x04\0\0\0\0\x01\x02', 'latin1');
    const tag = Buffer.concat([before, Buffer.alloc(130)]);
    const metadata = [Buffer.alloc(1_000_000, 0xff), Buffer.alloc(0)];
    const behind = Buffer.concat([Buffer.alloc(200_001), Buffer.from('TAG'), Buffer.alloc(125)]);

    for (const numSamples of [0, 32]) {
      const file = flacFile({ numSamples, metadata, frames: [flat(16), flat(16)] });
      const item = await decode(Buffer.concat([tag, file, behind]));
      assert.equal(item.samples.length, 32, `${numSamples} samples announced`);
    }
  });

  it('is refused when any byte of its audio is damaged', async () => {
    const file = flacFile({
      numSamples: 0,
      frames: [LEFT, RIGHT].map((samples) => ({ blockSize: 7, subframes: [differences(samples)] })),
    });

    for (let at = 42; at < file.length; at++) {
      const broken = Buffer.from(file);
      broken[at] = (broken[at] ?? 0) ^ 0x10;
      await assert.rejects(
        decode(broken),
        refusal('UNSUPPORTED_MEDIA', /FLAC file is damaged/),
        `byte ${at}`,
      );
    }
  });

  it('is refused when it is cut short', async () => {
    const file = fixture('command-ffmpeg-pipe.flac');
    const [, start] = [...starts(file)];

    await assert.rejects(
      decode(file.subarray(0, file.length - 1)),
      refusal('UNSUPPORTED_MEDIA', /cut short in the frame at byte \d+/),
    );
    await assert.rejects(
      decode(file.subarray(0, (start ?? 0) + 1)),
      refusal('UNSUPPORTED_MEDIA', /no frame at byte \d+/),
    );
    await assert.rejects(
      decode(file.subarray(0, 44)),
      refusal('UNSUPPORTED_MEDIA', /cut short in its metadata/),
    );
  });

  it('is refused when samples are missing that it announces', async () => {
    const frames = [flat(16), flat(16)];

    await assert.rejects(
      decode(flacFile({ numSamples: 48, frames })),
      refusal('UNSUPPORTED_MEDIA', /48 samples are announced, 32 could be decoded/),
    );
  });

  it('is refused when a frame is missing in its middle, announced or not', async () => {
    for (const isVariable of [false, true]) {
      const whole = flacFile({ isVariable, numSamples: 0, frames: [flat(16), flat(20), flat(20)] });
      const [, second = 0, third = 0] = [...starts(whole)];
      const file = Buffer.concat([whole.subarray(0, second), whole.subarray(third)]);
      await assert.rejects(
        decode(file),
        refusal('UNSUPPORTED_MEDIA', /frame \d+ comes after frame 0/),
        `variable: ${isVariable}`,
      );
    }
  });

  it('is refused when a sample does not fit in its bits', async () => {
    const subframes = [verbatim([-32_768]), verbatim([65_535])];

    await assert.rejects(
      decode(flacFile({ frames: [{ blockSize: 1, subframes, stereo: 'left-side' }] })),
      refusal('UNSUPPORTED_MEDIA', /a sample does not fit in 16 bits/),
    );
  });

  for (const [sampleRateHz, numSamples] of [
    [48_000, 48_000],
    [192_000, 48_000],
  ] as const) {
    it(`has no more samples than at 48 kHz: ${sampleRateHz} Hz`, async () => {
      const frame = { blockSize: 16_000, subframes: [constant(1)] };
      const fileOf = (numFrames: number) =>
        flacFile({
          sampleRateHz,
          numSamples: 0,
          frames: Array.from({ length: numFrames }, () => frame),
        });

      const { samples } = await decode(fileOf(3), { maxAudioSeconds: 1 });
      const tooMany = decode(fileOf(4), { maxAudioSeconds: 1 });

      assert.equal(samples.length, numSamples);
      await assert.rejects(tooMany, refusal('PAYLOAD_TOO_LARGE', /1 seconds/));
    });
  }

  it('is refused before a frame is decoded when it is longer than the limit', async () => {
    const announced = flacFile({ numSamples: 2 ** 36 - 1, frames: [] });
    const silent = flacFile({ numSamples: 0, frames: [flat(16_000), flat(1)] });

    for (const file of [announced, silent]) {
      await assert.rejects(
        decode(file, { maxAudioSeconds: 1 }),
        refusal('PAYLOAD_TOO_LARGE', /longer than 1 seconds/),
      );
    }
  });
});

/** Finds the starts of the frames of a file that has no sync code elsewhere. */
function* starts(file: Buffer): Generator<number> {
  for (let at = 0; at + 1 < file.length; at++) {
    if (file[at] === 0xff && (file[at + 1] === 0xf8 || file[at + 1] === 0xf9)) yield at;
  }
}
