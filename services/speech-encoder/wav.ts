import type { Turns } from '#mesh/async/turns.ts';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { frameBytes, type PcmFormat, readPcm, type SampleType } from './pcm.ts';
import type { Recording } from './recording.ts';

const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
/** WAVE_FORMAT_EXTENSIBLE: the format's number stands at the head of a GUID. */
const FORMAT_EXTENSIBLE = 0xfffe;
const SUBFORMAT_OFFSET = 24;

/**
 * Sizes that a writer leaves in the data chunk if it cannot seek back: the data reaches to the end
 * of the file.
 */
const UNKNOWN_SIZES: readonly number[] = [0, 0xffffffff, 0x7fffffff];

const MAX_CHANNELS = 32;
/** Bytes of samples that are converted at once. */
const SLICE_BYTES = 64 * 1024;

/** Samples by format number and bits. */
const SAMPLE_TYPES: Readonly<Record<string, SampleType>> = {
  [`${FORMAT_PCM} 8`]: 'uint8',
  [`${FORMAT_PCM} 16`]: 'int16',
  [`${FORMAT_PCM} 24`]: 'int24',
  [`${FORMAT_PCM} 32`]: 'int32',
  [`${FORMAT_FLOAT} 32`]: 'float32',
  [`${FORMAT_FLOAT} 64`]: 'float64',
};

/** Decodes a RIFF WAVE file of integer or floating-point PCM. */
export async function decodeWav(bytes: Buffer, recording: Recording, turns: Turns): Promise<void> {
  const { format, data } = await readWavChunks(bytes, turns);
  const stride = frameBytes(format);
  const numFrames = Math.floor(data.length / stride);
  recording.admit(numFrames, format);
  const sliceFrames = Math.ceil(SLICE_BYTES / stride);
  for (let at = 0; at < numFrames; at += sliceFrames) {
    if (turns.isOver) await turns.next();
    const end = Math.min(at + sliceFrames, numFrames);
    const channels = readPcm(data.subarray(at * stride, end * stride), format);
    if (channels.some((samples) => samples.some((value) => !Number.isFinite(value)))) {
      throw unreadable('it has samples that are not numbers');
    }
    recording.append(channels, format);
  }
}

interface WavChunks {
  readonly format: PcmFormat;
  readonly data: Buffer;
}

async function readWavChunks(bytes: Buffer, turns: Turns): Promise<WavChunks> {
  let format: PcmFormat | undefined;
  let at = 12;
  while (at + 8 <= bytes.length) {
    if (turns.isOver) await turns.next();
    const id = bytes.toString('latin1', at, at + 4);
    const size = bytes.readUInt32LE(at + 4);
    const start = at + 8;
    if (id === 'data') {
      if (format === undefined) throw unreadable('the data chunk comes before the format');
      return { format, data: dataChunk(bytes, { start, size }) };
    }
    if (start + size > bytes.length) throw unreadable(`it is cut short in its ${quoted(id)} chunk`);
    if (id === 'fmt ') format = readFormat(bytes.subarray(start, start + size));
    // Chunks start at even positions.
    at = start + size + (size % 2);
  }
  throw unreadable('it has no data chunk');
}

function dataChunk(
  bytes: Buffer,
  chunk: { readonly start: number; readonly size: number },
): Buffer {
  const isLast = UNKNOWN_SIZES.includes(chunk.size);
  // A file that is cut short is a shorter recording.
  return bytes.subarray(chunk.start, isLast ? bytes.length : chunk.start + chunk.size);
}

function readFormat(chunk: Buffer): PcmFormat {
  if (chunk.length < 16) throw unreadable(`its format chunk has ${chunk.length} bytes`);
  const numChannels = chunk.readUInt16LE(2);
  const sampleRateHz = chunk.readUInt32LE(4);
  const bits = chunk.readUInt16LE(14);
  const isExtensible = chunk.readUInt16LE(0) === FORMAT_EXTENSIBLE;
  if (isExtensible && chunk.length < SUBFORMAT_OFFSET + 2) throw unreadable('it has no subformat');
  const code = chunk.readUInt16LE(isExtensible ? SUBFORMAT_OFFSET : 0);
  const sampleType = SAMPLE_TYPES[`${code} ${bits}`];
  if (sampleType === undefined) {
    throw unreadable(
      `format ${code} with ${bits} bits; 8, 16, 24, 32 bit PCM and 32, 64 bit float can be read`,
    );
  }
  if (numChannels < 1 || numChannels > MAX_CHANNELS) {
    throw unreadable(`it has ${numChannels} channels, 1 to ${MAX_CHANNELS} can be read`);
  }
  const format = { sampleType, numChannels, sampleRateHz };
  // Some writers give a sample of 24 bits four bytes. Less than a sample needs is a slip of the writer.
  const blockBytes = chunk.readUInt16LE(12);
  if (blockBytes > frameBytes(format)) {
    throw unreadable(
      `a sample of ${bits} bits in each of ${numChannels} channels takes ${blockBytes} bytes instead of ${frameBytes(format)}`,
    );
  }
  return format;
}

function unreadable(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the WAV file cannot be read: ${why}`);
}
