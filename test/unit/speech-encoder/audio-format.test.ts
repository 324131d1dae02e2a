import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import type { DecodedAudio } from '#native';
import { refusal } from '#test/refusal.ts';
import { decode, fixture, readerOf } from './audio-decoding.ts';
import { repairOgg } from './audio-specimens.ts';
import { oggOpus, oggPage } from './hostile-audio.ts';
import { type WavShape, wavFile } from './wav-file.ts';

// The files speech.* of testdata are 1.2 s of speech, 16 kHz mono, written by ffmpeg in each
// format.

/** Computes the correlation of two sounds from their first sample on, 1 for the same sound. */
function likeness(a: DecodedAudio, b: DecodedAudio): number {
  const step = { a: a.sampleRateHz / 16_000, b: b.sampleRateHz / 16_000 };
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.samples.length / step.a; i++) {
    const [x, y] = [a.samples[i * step.a] ?? 0, b.samples[i * step.b] ?? 0];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

const RAMP = [[-1], [-0.5], [0], [0.25], [0.75]] as const;

describe('a WAV file', () => {
  const types: readonly WavShape['sampleType'][] = [
    'uint8',
    'int16',
    'int24',
    'int32',
    'float32',
    'float64',
  ];
  for (const sampleType of types) {
    for (const isExtensible of [false, true]) {
      it(`gives its samples: ${sampleType}${isExtensible ? ', extensible' : ''}`, async () => {
        const item = await decode(wavFile(RAMP, { sampleType, isExtensible }));

        assert.deepEqual([...item.samples], RAMP.flat());
        assert.equal(item.sampleRateHz, 16_000);
      });
    }
  }

  it('has its channels averaged', async () => {
    const frames = [
      [1 / 2, 1 / 4, 0],
      [-1 / 2, 1 / 2, 3 / 4],
    ];

    const item = await decode(wavFile(frames, { sampleType: 'float32', sampleRateHz: 44_100 }));

    assert.deepEqual([...item.samples], [0.25, 0.25]);
    assert.equal(item.sampleRateHz, 44_100);
  });

  for (const announcedBytes of [0, 0xffffffff]) {
    it(`lasts to its end where the writer announced ${announcedBytes} bytes`, async () => {
      const item = await decode(wavFile(RAMP, { sampleType: 'int16', announcedBytes }));

      assert.equal(item.samples.length, RAMP.length);
    });
  }

  it('gives the samples that are there when it is cut short', async () => {
    const bytes = wavFile(RAMP, { sampleType: 'int16' });

    const { samples } = await decode(bytes.subarray(0, bytes.length - 3));

    assert.deepEqual([...samples], RAMP.flat().slice(0, 3));
  });

  it('is refused when it is cut short before its samples', async () => {
    const bytes = wavFile(RAMP, { sampleType: 'int16' });

    await assert.rejects(
      decode(bytes.subarray(0, 44)),
      refusal('UNSUPPORTED_MEDIA', /cut short in its "fmt "/),
    );
    await assert.rejects(decode(bytes.subarray(0, 40)), refusal('UNSUPPORTED_MEDIA', /cut short/));
    await assert.rejects(decode(bytes.subarray(0, 12)), refusal('UNSUPPORTED_MEDIA', /no data/));
  });

  it('is refused where samples take more bytes than their bits need', async () => {
    const bytes = wavFile(RAMP, { sampleType: 'int24' });
    const blockAt = bytes.indexOf('fmt ') + 8 + 12;
    bytes.writeUInt16LE(4, blockAt);

    await assert.rejects(
      decode(bytes),
      refusal('UNSUPPORTED_MEDIA', /a sample of 24 bits .* takes 4 bytes instead of 3/),
    );
    bytes.writeUInt16LE(0, blockAt);
    assert.deepEqual([...(await decode(bytes)).samples], RAMP.flat());
  });

  it('is refused with a codec in it', async () => {
    const bytes = wavFile(RAMP, { sampleType: 'uint8' });
    bytes.writeUInt16LE(7, bytes.indexOf('fmt ') + 8);

    await assert.rejects(decode(bytes), refusal('UNSUPPORTED_MEDIA', /format 7 with 8 bits/));
  });

  it('is refused without samples', async () => {
    await assert.rejects(
      decode(wavFile([], { sampleType: 'int16' })),
      refusal('UNSUPPORTED_MEDIA', /no samples/),
    );
  });

  it('is refused with samples that are not numbers', async () => {
    const bytes = wavFile([[0], [Number.NaN]], { sampleType: 'float32' });

    await assert.rejects(decode(bytes), refusal('UNSUPPORTED_MEDIA', /not numbers/));
  });

  it('is refused at a rate that is none of sound', async () => {
    const bytes = wavFile(RAMP, { sampleType: 'int16', sampleRateHz: 3 });

    await assert.rejects(decode(bytes), refusal('UNSUPPORTED_MEDIA', /3 Hz/));
  });

  it('is refused when it is longer than the limit, with the seconds allowed', async () => {
    await assert.rejects(
      decode(fixture('speech.wav'), { maxAudioSeconds: 1 }),
      refusal('PAYLOAD_TOO_LARGE', /longer than 1 seconds/),
    );
  });
});

describe('a compressed recording', () => {
  const files = ['speech.mp3', 'speech.flac', 'speech.ogg', 'speech.webm', 'speech-live.webm'];
  for (const file of files) {
    it(`sounds like its original, sample for sample in time: ${file}`, async () => {
      const original = await decode(fixture('speech.wav'));

      const item = await decode(fixture(file));

      assert.equal(item.samples.length / item.sampleRateHz, 1.2);
      assert.ok(likeness(original, item) > (file.endsWith('.flac') ? 0.99999 : 0.93));
    });

    it(`is refused while it is decoded when it is longer than the limit: ${file}`, async () => {
      await assert.rejects(
        decode(fixture(file), { maxAudioSeconds: 0.5 }),
        refusal('PAYLOAD_TOO_LARGE', /longer than 0.5 seconds/),
      );
    });
  }

  for (const file of ['speech.ogg', 'speech.webm']) {
    it(`gives the sound that is there when it is cut short: ${file}`, async () => {
      const bytes = fixture(file);
      const whole = await decode(bytes);

      const cut = await decode(bytes.subarray(0, bytes.length - 500));

      const heard = cut.samples.length / whole.samples.length;
      assert.ok(heard > 0.5 && heard < 1, `${heard} of the sound`);
      const start = { ...whole, samples: whole.samples.subarray(0, cut.samples.length) };
      assert.ok(likeness(start, cut) > 0.999);
    });
  }

  it('is refused when it is cut short as FLAC, whose checksums say what is missing', async () => {
    const bytes = fixture('speech.flac');

    await assert.rejects(
      decode(bytes.subarray(0, bytes.length - 500)),
      refusal('UNSUPPORTED_MEDIA', /cut short|could be decoded/),
    );
  });

  it('gives the sound of a WebM file that a recorder did not finish', async () => {
    const { samples } = await decode(fixture('command-cut.webm'));

    assert.ok(samples.length > 24_000, `${samples.length} samples`);
  });

  it('gives the sound of every recording that an Ogg file is a chain of', async () => {
    const one = fixture('speech.ogg');
    const other = Buffer.from(one);
    for (let at = other.indexOf('OggS'); at !== -1; at = other.indexOf('OggS', at + 4)) {
      other.writeUInt32LE(77, at + 14); // serial number
    }
    repairOgg(other);
    const { samples: expected } = await decode(one);

    for (const second of [one, other]) {
      const { samples } = await decode(Buffer.concat([one, second]));

      assert.equal(samples.length, 2 * expected.length);
      assert.deepEqual(samples.subarray(0, expected.length), expected);
      assert.deepEqual(samples.subarray(expected.length), expected);
    }
  });

  it('is refused as a chain with another codec in it, or of too many links', async () => {
    const [opus, vorbis] = [fixture('speech.ogg'), fixture('vorbis.ogg')];

    await assert.rejects(
      decode(Buffer.concat([opus, vorbis])),
      refusal('UNSUPPORTED_MEDIA', /no Opus stream/),
    );
    await assert.rejects(
      decode(Buffer.concat(Array.from({ length: 65 }, () => opus))),
      refusal('PAYLOAD_TOO_LARGE', /a chain of more than 64 recordings/),
    );
  });

  it('is refused when a page of it is damaged', async () => {
    const bytes = fixture('speech.ogg');
    bytes.fill(0x55, 3000, 3010);

    await assert.rejects(
      decode(bytes),
      refusal('UNSUPPORTED_MEDIA', /page at byte \d+ is damaged/),
    );
  });

  it('is refused when a frame of it is damaged', async () => {
    const bytes = fixture('speech.flac');
    bytes.fill(0x55, 20_000, 20_100);

    await assert.rejects(
      decode(bytes),
      refusal('UNSUPPORTED_MEDIA', /frame at byte 19656 does not have its checksum/),
    );
  });

  it('is refused when it only looks like MPEG audio', async () => {
    const bytes = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0x44]), Buffer.alloc(5000, 0x33)]);

    await assert.rejects(decode(bytes), refusal('UNSUPPORTED_MEDIA', /MP3 file is damaged/));
  });

  it('is refused in another codec', async () => {
    await assert.rejects(decode(fixture('vorbis.ogg')), refusal('UNSUPPORTED_MEDIA', /no Opus/));
    await assert.rejects(decode(fixture('vorbis.webm')), refusal('UNSUPPORTED_MEDIA', /A_VORBIS/));
    await assert.rejects(decode(fixture('speech.m4a')), refusal('UNSUPPORTED_MEDIA', /not a WAV/));
  });

  it('is refused when it is no recording', async () => {
    await assert.rejects(
      decode(Buffer.from('hello, is this thing on?')),
      refusal('UNSUPPORTED_MEDIA', /not a WAV, MP3, FLAC, Ogg Opus or WebM Opus/),
    );
  });

  it('is read although a packet spoils the memory of the Opus decoder', async () => {
    // The packets are CELT and then 120 ms of SILK, in stereo: more than the decoder's stack holds.
    const [short, long] = [Buffer.from('d00000', 'hex'), Buffer.alloc(99)];
    long[0] = 0x5a;
    long[34] = 0x33;
    const page = oggPage([short.length, long.length], Buffer.concat([short, long]));
    page.writeUInt32LE(6000, 6); // granule position
    const file = oggOpus(page);
    file[37] = 2; // channels, in OpusHead
    repairOgg(file);

    const { samples } = await decode(file);

    assert.equal(samples.length, 6000);
  });

  it('never breaks its reader, whatever byte of its head is wrong', async () => {
    for (const file of ['speech.webm', 'speech.ogg']) {
      const bytes = fixture(file);
      for (let at = 4; at < 300; at++) {
        const broken = Buffer.from(bytes);
        broken[at] = (broken[at] ?? 0) ^ 0xff;

        const outcome = await decode(broken).catch((error: unknown) => error);

        const isRefusal = outcome instanceof MeshError;
        assert.ok(isRefusal || !(outcome instanceof Error), `${file}, byte ${at}: ${outcome}`);
      }
    }
  });
});

describe('a live recording', () => {
  const samples = fixture('speech.wav').subarray(-38_400);

  it('is the same sound as its file, however its bytes are cut', async () => {
    const original = await decode(fixture('speech.wav'));

    const item = await decode(samples, { mediaType: 'audio/L16; rate=16000', chunkBytes: 333 });

    assert.deepEqual(item.samples, original.samples);
  });

  it('may have several channels', async () => {
    const stereo = Buffer.from(Int16Array.from([16384, 0, -16384, -16384]).buffer);

    const item = await decode(stereo, {
      mediaType: 'audio/l16;rate=8000;channels=2',
      chunkBytes: 3,
    });

    assert.deepEqual([...item.samples], [0.25, -0.5]);
    assert.equal(item.sampleRateHz, 8000);
  });

  it('is refused at the chunk that makes it too long', () => {
    assert.throws(
      () => readerOf(samples, { mediaType: 'audio/L16;rate=16000', maxAudioSeconds: 1 }),
      refusal('PAYLOAD_TOO_LARGE', /longer than 1 seconds/),
    );
  });

  it('is refused without a rate', () => {
    assert.throws(
      () => readerOf(samples, { mediaType: 'audio/L16' }),
      refusal('UNSUPPORTED_MEDIA', /say the rate/),
    );
  });

  it('is another item at another rate', () => {
    const slow = readerOf(samples, { mediaType: 'audio/L16;rate=8000' });
    const fast = readerOf(samples, { mediaType: 'audio/L16;rate=16000' });

    assert.notEqual(slow.variant, fast.variant);
  });
});
