import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MeshError } from '#mesh/errors.ts';
import { openHere, readerOf } from './audio-decoding.ts';
import { flacFile } from './flac-file.ts';
import {
  constantFlac,
  emptyBlock,
  emptyChunk,
  emptyOggPackets,
  manyWebmTracks,
  oggOpus,
  oggPage,
  opusTrack,
  repeated,
  smallMp3Frame,
  webm,
} from './hostile-audio.ts';

const MB = 1e6;
const LARGE = 32 * MB;

/**
 * Longest time that other work may wait while a recording is decoded, milliseconds. A turn lasts
 * some 10 ms and no single step much longer; the rest is for machines that do other work at the
 * same time.
 */
const MAX_HOLD_MS = 1000;

interface Course {
  /** The refusal, or the number of samples. */
  readonly outcome: string;
  /** Longest time between two turns of the event loop, milliseconds. */
  readonly longestHoldMs: number;
}

/** Decodes while other work measures its waits for turns of the event loop. */
async function watch(file: Buffer): Promise<Course> {
  let longestHoldMs = 0;
  let isDecoding = true;
  const others = (async () => {
    let lastMs = performance.now();
    while (isDecoding) {
      await new Promise(setImmediate);
      longestHoldMs = Math.max(longestHoldMs, performance.now() - lastMs);
      lastMs = performance.now();
    }
  })();
  const outcome = await openHere(file, { maxAudioSeconds: 60, chunkBytes: 256 * 1024 }).then(
    ({ facts }) => (facts.kind === 'audio' ? `${facts.numSamples} samples` : facts.kind),
    (error: unknown) => {
      assert.ok(error instanceof MeshError, String(error));
      return `${error.reason}: ${error.message}`;
    },
  );
  isDecoding = false;
  await others;
  return { outcome, longestHoldMs };
}

interface Row {
  readonly name: string;
  readonly file: () => Buffer;
  readonly outcome: RegExp;
}

const TOO_LONG = /^PAYLOAD_TOO_LARGE: .*longer than 60 seconds/;

const ROWS: readonly Row[] = [
  {
    name: 'an Ogg file of empty packets',
    file: () => emptyOggPackets(19 * MB),
    outcome: TOO_LONG,
  },
  {
    name: 'an Ogg file of empty pages',
    file: () => oggOpus(repeated(oggPage([]), LARGE)),
    outcome: /^UNSUPPORTED_MEDIA: .*no samples/,
  },
  {
    name: 'an Ogg file of one packet',
    file: () =>
      oggOpus(
        repeated(
          oggPage(
            Array.from({ length: 255 }, () => 255),
            Buffer.alloc(255 * 255),
          ),
          LARGE,
        ),
      ),
    outcome: /^UNSUPPORTED_MEDIA: .*a packet has more than 65536 bytes/,
  },
  {
    name: 'a WebM file of tracks and blocks that belong to none',
    file: () => manyWebmTracks(240_000),
    outcome: /^UNSUPPORTED_MEDIA: .*more than 128 tracks/,
  },
  {
    name: 'a WebM file of blocks that belong to no track',
    file: () => webm([opusTrack()], repeated(emptyBlock(2), LARGE)),
    outcome: /^UNSUPPORTED_MEDIA: .*no samples/,
  },
  {
    name: 'a WebM file of empty blocks',
    file: () => webm([opusTrack()], repeated(emptyBlock(1), LARGE)),
    outcome: TOO_LONG,
  },
  {
    name: 'a WebM file of elements of two bytes',
    file: () => webm([opusTrack()], repeated(Buffer.from([0xec, 0x80]), LARGE)),
    outcome: /^UNSUPPORTED_MEDIA: .*no samples/,
  },
  {
    name: 'a FLAC file whose 28 kB are 1.7 GB of samples',
    file: () => constantFlac(800),
    outcome: TOO_LONG,
  },
  {
    name: 'a FLAC file of empty metadata blocks',
    file: () =>
      Buffer.concat([
        flacFile({ frames: [] }).fill(0, 4, 5),
        repeated(Buffer.from([1, 0, 0, 0]), LARGE),
      ]),
    outcome: /^UNSUPPORTED_MEDIA: .*cut short in its metadata/,
  },
  {
    name: 'a FLAC file of padding',
    file: () => Buffer.concat([constantFlac(1), Buffer.alloc(LARGE)]),
    outcome: /^65535 samples/,
  },
  {
    name: 'a WAV file of empty chunks',
    file: () => Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVE'), repeated(emptyChunk(), LARGE)]),
    outcome: /^UNSUPPORTED_MEDIA: .*no data chunk/,
  },
  {
    name: 'an MP3 file of the smallest frames',
    file: () => repeated(smallMp3Frame(), LARGE),
    outcome: TOO_LONG,
  },
];

describe('a recording made to cost more than its bytes', () => {
  for (const { name, file, outcome } of ROWS) {
    it(`leaves the event loop to others: ${name}`, async () => {
      const course = await watch(file());

      assert.match(course.outcome, outcome);
      assert.ok(course.longestHoldMs < MAX_HOLD_MS, `held for ${course.longestHoldMs} ms`);
    });
  }

  it('is quoted with few words where it names a codec', async () => {
    const codec = Buffer.alloc(120, 'x');
    const track = Buffer.concat([Buffer.from([0xae, 0x80, 0x86, 0x80 | codec.length]), codec]);

    const { outcome } = await watch(webm(Array.from({ length: 128 }, () => track)));

    assert.match(outcome, /only Opus is read/);
    assert.ok(outcome.length < 400, `${outcome.length} characters`);
  });
});

describe('live samples that come one byte at a time', () => {
  it('take the memory of their samples', () => {
    const numBytes = 0.4 * MB;
    const before = usedBytes();

    const reader = readerOf(Buffer.alloc(numBytes), {
      mediaType: 'audio/L16;rate=16000',
      maxAudioSeconds: 60,
      chunkBytes: 1,
    });

    const grownBytes = usedBytes() - before;
    assert.equal(reader.variant, 'L16 16000 1');
    assert.ok(grownBytes < 10 * MB, `${grownBytes} bytes for ${numBytes} bytes of samples`);
  });
});

/** Counts the reachable bytes, of objects and of their memory outside the heap. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
