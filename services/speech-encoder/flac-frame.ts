import { BitReader } from './bit-reader.ts';
import { damagedFlac } from './damaged-flac.ts';
import { crc8, crc16 } from './flac-checksum.ts';
import { readSubframe } from './flac-subframe.ts';

/** How samples are coded if a frame does not say (RFC 9639 §8.2). */
export interface FlacStreamInfo {
  readonly sampleRateHz: number;
  readonly bitsPerSample: number;
}

/** The header of a frame (RFC 9639 §9.1). */
export interface FlacFrameHeader extends FlacStreamInfo {
  /** Index of the frame, or of its first sample if blocks vary in size. */
  readonly codedNumber: number;
  /** Samples of each channel. */
  readonly blockSize: number;
  readonly numChannels: number;
  readonly stereo: StereoCoding;
  /** Where the frame's first subframe starts, bytes. */
  readonly bodyStart: number;
}

/** Which two of left, right, their difference (side) and their mean (mid) a frame holds. */
type StereoCoding = 'none' | 'left-side' | 'side-right' | 'mid-side';

/** Sample rates by code, Hz; code 0 means the stream's, above 11 the rate follows the header. */
const SAMPLE_RATES_HZ: readonly number[] = [
  0, 88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
];
/** Bits of a sample by code; code 0 means the stream's. */
const SAMPLE_BITS: readonly (number | undefined)[] = [0, 8, 12, undefined, 16, 20, 24, 32];
const STEREO_CODINGS: readonly (StereoCoding | undefined)[] = [
  'left-side',
  'side-right',
  'mid-side',
];
const MAX_INDEPENDENT_CHANNELS = 8;
const MAX_BLOCK_SIZE = 65_535;
const CRC16_BYTES = 2;

/** What a frame starts with: fourteen bits of sync and a zero. */
export function isFlacFrame(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0xff && ((bytes[at + 1] ?? 0) & 0xfe) === 0xf8;
}

/** Reads the header of the frame that starts at a byte; the header must be whole. */
export function readFlacHeader(bytes: Buffer, at: number, stream: FlacStreamInfo): FlacFrameHeader {
  const reader = new BitReader(bytes, at + 2);
  const blockCode = reader.unsigned(4);
  const rateCode = reader.unsigned(4);
  const channelCode = reader.unsigned(4);
  const bitsPerSample = SAMPLE_BITS[reader.unsigned(3)];
  reader.unsigned(1); // Reserved.
  const codedNumber = readCodedNumber(reader);
  const blockSize = readBlockSize(reader, blockCode);
  const sampleRateHz = readSampleRate(reader, rateCode);
  const headerEnd = reader.byteAt;
  if (reader.unsigned(8) !== crc8(bytes.subarray(at, headerEnd))) {
    throw damagedFlac(`the header of the frame at byte ${at} does not have its checksum`);
  }
  const isIndependent = channelCode < MAX_INDEPENDENT_CHANNELS;
  const stereo = isIndependent ? 'none' : STEREO_CODINGS[channelCode - MAX_INDEPENDENT_CHANNELS];
  if (stereo === undefined || bitsPerSample === undefined || blockSize === 0) {
    throw damagedFlac(`the frame at byte ${at} has a header of no known meaning`);
  }
  return {
    codedNumber,
    blockSize,
    sampleRateHz: sampleRateHz === 0 ? stream.sampleRateHz : sampleRateHz,
    bitsPerSample: bitsPerSample === 0 ? stream.bitsPerSample : bitsPerSample,
    numChannels: isIndependent ? channelCode + 1 : 2,
    stereo,
    bodyStart: headerEnd + 1,
  };
}

/** A number of up to 36 bits, coded as UTF-8 codes characters. */
function readCodedNumber(reader: BitReader): number {
  const first = reader.unsigned(8);
  const numOnes = Math.clz32(~(first << 24));
  if (numOnes === 0) return first;
  let value = first & (0x7f >> numOnes);
  for (let i = 1; i < numOnes; i++) value = value * 64 + (reader.unsigned(8) & 0x3f);
  return value;
}

/** Samples of a block by its code; 0 if the code is reserved. */
function readBlockSize(reader: BitReader, code: number): number {
  if (code === 0) return 0;
  if (code === 1) return 192;
  if (code < 6) return 144 << code;
  if (code > 7) return 1 << code;
  const size = reader.unsigned(code === 6 ? 8 : 16) + 1;
  return size > MAX_BLOCK_SIZE ? 0 : size;
}

/** Sample rate by its code, Hz; 0 if the frame has its stream's. */
function readSampleRate(reader: BitReader, code: number): number {
  switch (code) {
    case 12:
      return reader.unsigned(8) * 1000;
    case 13:
      return reader.unsigned(16);
    case 14:
      return reader.unsigned(16) * 10;
    default:
      return SAMPLE_RATES_HZ[code] ?? 0;
  }
}

export interface FlacFrame {
  /** `[num_channels][block_size]`, -1 to 1. */
  readonly channels: readonly Float32Array[];
  /** The first byte behind the frame. */
  readonly end: number;
}

/** Decodes the frame at a byte. */
export function readFlacFrame(bytes: Buffer, at: number, header: FlacFrameHeader): FlacFrame {
  const reader = new BitReader(bytes, header.bodyStart);
  const coded = Array.from({ length: header.numChannels }, (_, channel) => {
    const samples = new Float64Array(header.blockSize);
    readSubframe(reader, samples, header.bitsPerSample + sideBits(header.stereo, channel));
    return samples;
  });
  const bodyEnd = reader.byteAt;
  const end = bodyEnd + CRC16_BYTES;
  const checksum = new BitReader(bytes, bodyEnd).unsigned(8 * CRC16_BYTES);
  if (checksum !== crc16(bytes.subarray(at, bodyEnd))) {
    throw damagedFlac(`the frame at byte ${at} does not have its checksum`);
  }
  undoStereo(coded, header.stereo);
  return { channels: coded.map((samples) => scaled(samples, header.bitsPerSample)), end };
}

/** A difference of two numbers has one bit more than they. */
function sideBits(stereo: StereoCoding, channel: number): number {
  const sideChannel = stereo === 'none' ? -1 : stereo === 'side-right' ? 0 : 1;
  return channel === sideChannel ? 1 : 0;
}

/** Turns what two channels are coded as into left and right, in place. */
function undoStereo([first, second]: readonly Float64Array[], stereo: StereoCoding): void {
  if (stereo === 'none' || first === undefined || second === undefined) return;
  for (let i = 0; i < first.length; i++) {
    const [a, b] = [first[i] ?? 0, second[i] ?? 0];
    if (stereo === 'left-side') second[i] = a - b;
    else if (stereo === 'side-right') first[i] = a + b;
    else {
      // The mean was halved; the difference is odd exactly if the sum was.
      const sum = 2 * a + (b & 1);
      first[i] = (sum + b) / 2;
      second[i] = (sum - b) / 2;
    }
  }
}

function scaled(samples: Float64Array, bitsPerSample: number): Float32Array {
  const range = 2 ** (bitsPerSample - 1);
  const scale = 1 / range; // Exact, as of any power of two.
  const values = new Float32Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const sample = samples[i] ?? 0;
    if (!(sample >= -range && sample < range)) {
      throw damagedFlac(`a sample does not fit in ${bitsPerSample} bits`);
    }
    values[i] = sample * scale;
  }
  return values;
}
