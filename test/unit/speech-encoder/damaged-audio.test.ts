import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turns } from '#mesh/async/turns.ts';
import { MeshError } from '#mesh/errors.ts';
import { decodeFlac } from '#speech/flac.ts';
import { readOggOpus } from '#speech/ogg.ts';
import type { OpusStream } from '#speech/opus.ts';
import { Recording } from '#speech/recording.ts';
import { decodeWav } from '#speech/wav.ts';
import { readWebmOpus } from '#speech/webm.ts';
import { checkMutants, type Specimen } from '#test/mutations.ts';
import { decode, fixture } from './audio-decoding.ts';
import {
  FLAC_SPECIMENS,
  OGG_SPECIMENS,
  OPUS_HEAD_SPECIMEN,
  WAV_SPECIMENS,
  WEBM_SPECIMENS,
} from './audio-specimens.ts';

const MAX_AUDIO_SECONDS = 2;
/** Most samples of a recording: 48,000 per second of the longest one. */
const MAX_SAMPLES = MAX_AUDIO_SECONDS * 48_000;

/** Turns that never end, and that stop a reader that takes more steps than its input has bytes. */
class BoundedTurns extends Turns {
  #numLeft: number;

  constructor(bytes: Buffer) {
    super();
    this.#numLeft = bytes.length + 2;
  }

  override get isOver(): boolean {
    this.#numLeft -= 1;
    assert(this.#numLeft >= 0, 'more steps than bytes');
    return false;
  }
}

/** Outcomes of the mutants: both must occur, or the damage proves nothing. */
interface Outcomes {
  numRead: number;
  numRefused: number;
}

type Read = (bytes: Buffer) => Promise<void>;

/**
 * Reads the specimens, then their mutants; each mutant must be read, or refused as unsupported or
 * too long.
 */
async function survive(
  specimens: readonly Specimen[],
  numRandom: number,
  read: Read,
): Promise<Outcomes> {
  const outcomes = { numRead: 0, numRefused: 0 };
  for (const { bytes } of specimens) await read(bytes);

  await checkMutants(specimens, numRandom, async (bytes) => {
    try {
      await read(bytes);
      outcomes.numRead += 1;
    } catch (error: unknown) {
      if (!(error instanceof MeshError)) throw error;
      assert.match(error.reason, /^(UNSUPPORTED_MEDIA|PAYLOAD_TOO_LARGE)$/);
      assert.doesNotMatch(error.message, /undefined|NaN|null/);
      outcomes.numRefused += 1;
    }
  });

  assert(outcomes.numRead > 0 && outcomes.numRefused > 0, JSON.stringify(outcomes));
  return outcomes;
}

/** Reads a recording; checks that it is not too long and that its samples are numbers. */
function readWith(
  decodeFile: (bytes: Buffer, recording: Recording, turns: Turns) => Promise<void>,
): Read {
  return async (bytes) => {
    const recording = new Recording({ maxAudioSeconds: MAX_AUDIO_SECONDS });
    await decodeFile(bytes, recording, new BoundedTurns(bytes));
    assert(recording.numSamples <= MAX_SAMPLES, `${recording.numSamples} samples`);
    const samples = await recording.take(new BoundedTurns(bytes));
    assert(
      samples.every((value) => Number.isFinite(value)),
      'samples that are no numbers',
    );
  };
}

/** Reads the packets of a container; checks that they are parts of its bytes. */
function readPackets(open: (bytes: Buffer, turns: Turns) => OpusStream): Read {
  return async (bytes) => {
    const stream = open(bytes, new BoundedTurns(bytes));
    let numBytes = 0;
    for (;;) {
      const next = await stream.next();
      if (next.done === true) {
        assert(Number.isFinite(next.value.numSamples ?? 0));
        assert(Number.isFinite(next.value.numPaddingSamples));
        return;
      }
      numBytes += next.value.length;
      assert(numBytes <= bytes.length, 'more bytes in packets than in the file');
    }
  };
}

describe('a damaged recording is read or refused, with no more steps than it has bytes', () => {
  it('Ogg', async () => {
    await survive(OGG_SPECIMENS, 1500, readPackets(readOggOpus));
  });

  it('WebM', async () => {
    await survive(WEBM_SPECIMENS, 1500, readPackets(readWebmOpus));
  });

  it('WAV', async () => {
    await survive(WAV_SPECIMENS, 1500, readWith(decodeWav));
  });

  it('FLAC', async () => {
    await survive(FLAC_SPECIMENS, 500, readWith(decodeFlac));
  });

  it('any format, with the sound in it', async () => {
    const files = ['speech.mp3', 'speech.ogg', 'speech.webm', 'speech-live.webm'];
    const plain = files.map((name) => ({ name, bytes: fixture(name) }));

    await survive([...plain, OPUS_HEAD_SPECIMEN], 40, async (bytes) => {
      const { samples } = await decode(bytes, { maxAudioSeconds: MAX_AUDIO_SECONDS });
      assert(samples.length <= MAX_SAMPLES, `${samples.length} samples`);
    });
  });
});
