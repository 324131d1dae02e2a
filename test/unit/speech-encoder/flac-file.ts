import { crc8, crc16 } from '#speech/flac-checksum.ts';

/** Collects numbers of any width, the highest bit first. */
class BitWriter {
  readonly #bits: number[] = [];

  /** Writes a number; negative ones as two's complement. */
  write(value: number, numBits: number): void {
    const unsigned = value < 0 ? value + 2 ** numBits : value;
    for (let bit = numBits - 1; bit >= 0; bit--)
      this.#bits.push(Math.floor(unsigned / 2 ** bit) % 2);
  }

  bytes(): Buffer {
    const bytes = Buffer.alloc(Math.ceil(this.#bits.length / 8));
    for (const [i, bit] of this.#bits.entries()) {
      bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (bit << (7 - (i & 7)));
    }
    return bytes;
  }
}

/** Writes one channel of a frame whose samples have `width` bits. */
export type FlacSubframe = (writer: BitWriter, width: number) => void;

/** Makes a subframe of one value for a whole block: a few bytes, however long the block is. */
export function constant(value: number): FlacSubframe {
  return (writer, width) => {
    writer.write(0b00000000, 8);
    writer.write(value, width);
  };
}

export function verbatim(values: readonly number[]): FlacSubframe {
  return (writer, width) => {
    writer.write(0b00000010, 8);
    for (const value of values) writer.write(value, width);
  };
}

/** Makes a subframe of values whose lowest bits are all zero and are left out. */
export function shifted(values: readonly number[], numWasted: number): FlacSubframe {
  return (writer, width) => {
    writer.write(0b00000011, 8);
    writer.write(1, numWasted);
    for (const value of values) writer.write(value / 2 ** numWasted, width - numWasted);
  };
}

/**
 * Makes a subframe of the first value and the differences of the others, which are not Rice coded.
 */
export function differences([first = 0, ...others]: readonly number[]): FlacSubframe {
  return (writer, width) => {
    writer.write(0b00010010, 8);
    writer.write(first, width);
    writer.write(0b00_0000_1111, 10);
    writer.write(width + 1, 5);
    let last = first;
    for (const value of others) {
      writer.write(value - last, width + 1);
      last = value;
    }
  };
}

export interface FlacFrameShape {
  readonly blockSize: number;
  readonly subframes: readonly FlacSubframe[];
  /** Pair of left, right, side and mid that the subframes hold; unset: the channels themselves. */
  readonly stereo?: 'left-side' | 'side-right' | 'mid-side';
}

/** Form of a test file. */
export interface FlacShape {
  readonly frames: readonly FlacFrameShape[];
  readonly sampleRateHz?: number;
  readonly bitsPerSample?: number;
  /** Number of samples announced in STREAMINFO; unset: that of the file. */
  readonly numSamples?: number;
  /** Whether frames have the number of their first sample in place of their own number. */
  readonly isVariable?: boolean;
  /** Bodies of blocks between STREAMINFO and the frames. */
  readonly metadata?: readonly Buffer[];
}

const STEREO_CODES = { 'left-side': 8, 'side-right': 9, 'mid-side': 10 } as const;
const PICTURE_BLOCK = 6;

/** Writes a FLAC file. */
export function flacFile(shape: FlacShape): Buffer {
  const { frames, metadata = [] } = shape;
  const numSamples = frames.reduce((sum, { blockSize }) => sum + blockSize, 0);
  const blocks = [streamInfo(shape, numSamples), ...metadata];
  let start = 0;
  const written = frames.map((frame, index) => {
    const number = shape.isVariable === true ? start : index;
    start += frame.blockSize;
    return flacFrame(frame, { ...shape, number });
  });
  const heads = blocks.map((body, index) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    head[0] = (index === 0 ? 0 : PICTURE_BLOCK) | (index === blocks.length - 1 ? 0x80 : 0);
    return Buffer.concat([head, body]);
  });
  return Buffer.concat([Buffer.from('fLaC'), ...heads, ...written]);
}

function streamInfo(shape: FlacShape, numSamples: number): Buffer {
  const { sampleRateHz = 16_000, bitsPerSample = 16, frames } = shape;
  const sizes = frames.map(({ blockSize }) => blockSize);
  const writer = new BitWriter();
  writer.write(Math.min(...sizes, 65_535), 16);
  writer.write(Math.max(...sizes, 16), 16);
  writer.write(0, 48);
  writer.write(sampleRateHz, 20);
  writer.write((frames[0]?.subframes.length ?? 1) - 1, 3);
  writer.write(bitsPerSample - 1, 5);
  writer.write(shape.numSamples ?? numSamples, 36);
  writer.write(0, 128);
  return writer.bytes();
}

interface FrameOptions extends Pick<FlacShape, 'bitsPerSample' | 'isVariable'> {
  readonly number: number;
}

function flacFrame(
  { blockSize, subframes, stereo }: FlacFrameShape,
  options: FrameOptions,
): Buffer {
  const { bitsPerSample = 16, isVariable = false, number } = options;
  const head = new BitWriter();
  head.write(0b11111111_111110_0, 15);
  head.write(isVariable ? 1 : 0, 1);
  head.write(0b0111_0000, 8); // The block size follows; the rate is that of the stream.
  head.write(stereo === undefined ? subframes.length - 1 : STEREO_CODES[stereo], 4);
  head.write(0b000_0, 4);
  // Numbers of up to 16 bits are coded as UTF-8 codes characters.
  for (const byte of Buffer.from(String.fromCodePoint(number))) head.write(byte, 8);
  head.write(blockSize - 1, 16);
  const headBytes = head.bytes();
  const body = new BitWriter();
  for (const [channel, subframe] of subframes.entries()) {
    const isSide = stereo !== undefined && channel === (stereo === 'side-right' ? 0 : 1);
    subframe(body, bitsPerSample + (isSide ? 1 : 0));
  }
  const frame = Buffer.concat([headBytes, Buffer.from([crc8(headBytes)]), body.bytes()]);
  const crc = crc16(frame);
  return Buffer.concat([frame, Buffer.from([crc >> 8, crc & 0xff])]);
}
