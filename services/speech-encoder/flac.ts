import type { Turns } from '#mesh/async/turns.ts';
import { EndOfBits } from './bit-reader.ts';
import { damagedFlac } from './damaged-flac.ts';
import {
  type FlacFrameHeader,
  type FlacStreamInfo,
  isFlacFrame,
  readFlacFrame,
  readFlacHeader,
} from './flac-frame.ts';
import type { Recording } from './recording.ts';

// RFC 9639: "fLaC", metadata blocks, frames. STREAMINFO must come first.

const MAGIC_BYTES = 4;
const BLOCK_HEADER_BYTES = 4;
const LAST_BLOCK_FLAG = 0x80;
const STREAMINFO_START = MAGIC_BYTES + BLOCK_HEADER_BYTES;
const STREAMINFO_BYTES = 34;

/** Tags that taggers put behind the audio: ID3v1, APE, ID3v2, Lyrics3. */
const TRAILING_TAGS: readonly string[] = ['TAG', 'APETAGEX', 'ID3', 'LYRICSBEGIN'];
const LONGEST_TAG_NAME = 11;
/** Bytes of padding that are skipped at once. */
const ZEROS = Buffer.alloc(64 * 1024);

interface FlacStream extends FlacStreamInfo {
  /** Samples of each channel; 0 if the writer did not know. */
  readonly numSamples: number;
}

/** Decodes a FLAC file. */
export async function decodeFlac(bytes: Buffer, recording: Recording, turns: Turns): Promise<void> {
  const stream = readStreamInfo(bytes);
  recording.admit(stream.numSamples, stream);
  const start = await audioStart(bytes, turns);
  const end = await decodeFrames(bytes, recording, { stream, start, turns });
  if (stream.numSamples === 0) await refuseUnknownRest(bytes, end, turns);
  else if (stream.numSamples !== recording.numSamples) {
    throw damagedFlac(
      `${stream.numSamples} samples are announced, ${recording.numSamples} could be decoded`,
    );
  }
}

function readStreamInfo(bytes: Buffer): FlacStream {
  const info = bytes.subarray(STREAMINFO_START, STREAMINFO_START + STREAMINFO_BYTES);
  if (info.length < STREAMINFO_BYTES || ((bytes[MAGIC_BYTES] ?? 0) & ~LAST_BLOCK_FLAG) !== 0) {
    throw damagedFlac('it has no STREAMINFO');
  }
  return {
    sampleRateHz: info.readUIntBE(10, 3) >>> 4,
    bitsPerSample: ((info.readUInt16BE(12) >>> 4) & 0x1f) + 1,
    numSamples: (info.readUInt8(13) & 0x0f) * 2 ** 32 + info.readUInt32BE(14),
  };
}

/** Returns the byte at which the first frame starts, behind all metadata. */
async function audioStart(bytes: Buffer, turns: Turns): Promise<number> {
  for (let at = MAGIC_BYTES; at + BLOCK_HEADER_BYTES <= bytes.length; ) {
    if (turns.isOver) await turns.next();
    const isLast = (bytes.readUInt8(at) & LAST_BLOCK_FLAG) !== 0;
    at += BLOCK_HEADER_BYTES + bytes.readUIntBE(at + 1, 3);
    if (isLast && at <= bytes.length) return at;
  }
  throw damagedFlac('it is cut short in its metadata');
}

interface FrameDecoding {
  readonly stream: FlacStream;
  readonly start: number;
  readonly turns: Turns;
}

/** Decodes the frames, which follow each other; returns the byte behind the last one. */
async function decodeFrames(
  bytes: Buffer,
  recording: Recording,
  { stream, start, turns }: FrameDecoding,
): Promise<number> {
  let at = start;
  let previous: FlacFrameHeader | undefined;
  while (isFlacFrame(bytes, at)) {
    if (turns.isOver) await turns.next();
    try {
      const header = readFlacHeader(bytes, at, stream);
      // A total proves that nothing is missing; without one the frames' numbers do.
      if (stream.numSamples === 0) refuseGap(header, previous);
      recording.admit(header.blockSize, header);
      const { channels, end } = readFlacFrame(bytes, at, header);
      recording.append(channels, header);
      previous = header;
      at = end;
    } catch (error: unknown) {
      if (!(error instanceof EndOfBits)) throw error;
      throw damagedFlac(`it is cut short in the frame at byte ${at}`);
    }
  }
  return at;
}

/** A frame is numbered by frames or, if blocks vary in size, by samples. */
function refuseGap(header: FlacFrameHeader, previous: FlacFrameHeader | undefined): void {
  if (previous === undefined) return;
  const step = header.codedNumber - previous.codedNumber;
  if (step === 1 || step === previous.blockSize) return;
  throw damagedFlac(`frame ${header.codedNumber} comes after frame ${previous.codedNumber}`);
}

/**
 * If the header has no total, only padding and tags may follow the last frame: anything else may
 * hide a further one.
 */
async function refuseUnknownRest(bytes: Buffer, end: number, turns: Turns): Promise<void> {
  const at = await paddingEnd(bytes, end, turns);
  const rest = bytes.toString('latin1', at, at + LONGEST_TAG_NAME);
  if (rest === '' || TRAILING_TAGS.some((name) => rest.startsWith(name))) return;
  throw damagedFlac(`no frame at byte ${at}`);
}

/** The first byte from `start` on that is not zero. */
async function paddingEnd(bytes: Buffer, start: number, turns: Turns): Promise<number> {
  let at = start;
  for (; at + ZEROS.length <= bytes.length; at += ZEROS.length) {
    if (turns.isOver) await turns.next();
    if (!ZEROS.equals(bytes.subarray(at, at + ZEROS.length))) break;
  }
  while (bytes[at] === 0) at += 1;
  return at;
}
