import { constant, flacFile } from './flac-file.ts';

// Files that cost far more than their size where a reader is not careful.

/** As many whole copies of a few bytes as fit. */
export function repeated(unit: Buffer, numBytes: number): Buffer {
  return Buffer.alloc(Math.floor(numBytes / unit.length) * unit.length, unit);
}

/** RFC 7845 §5.1: mono, nothing skipped, no gain. */
function opusHead(): Buffer {
  const head = Buffer.alloc(19);
  head.write('OpusHead');
  head[8] = 1;
  head[9] = 1;
  return head;
}

/** A page of one Ogg stream with its checksum; the segments' lengths add up to the body. */
export function oggPage(lengths: readonly number[], body: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(27);
  header.write('OggS');
  header[26] = lengths.length;
  const page = Buffer.concat([header, Buffer.from(lengths), body]);
  page.writeUInt32LE(oggChecksum(page), 22);
  return page;
}

export function oggChecksum(page: Buffer): number {
  let crc = 0;
  for (const byte of page) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  }
  return crc >>> 0;
}

/** The two header pages of an Ogg Opus stream, then whatever is to follow. */
export function oggOpus(...pages: readonly Buffer[]): Buffer {
  const head = opusHead();
  const tags = Buffer.from('OpusTags');
  return Buffer.concat([oggPage([head.length], head), oggPage([tags.length], tags), ...pages]);
}

/** Pages of nothing but packets without a byte. */
export function emptyOggPackets(numBytes: number): Buffer {
  return oggOpus(repeated(oggPage(Array.from({ length: 255 }, () => 0)), numBytes));
}

/** An EBML element of at most 126 bytes. */
export function element(id: readonly number[], body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([...id, 0x80 | body.length]), body]);
}

const UNKNOWN_SIZE = 0xff;

function webmTrack({ codec, number }: { readonly codec: string; readonly number: number }): Buffer {
  return Buffer.concat([
    Buffer.from([0xae, UNKNOWN_SIZE]),
    element([0xd7], Buffer.from([number])),
    element([0x86], Buffer.from(codec)),
    element([0x63, 0xa2], opusHead()),
  ]);
}

/** A WebM file of the tracks, then whatever is to follow in its cluster. */
export function webm(tracks: readonly Buffer[], ...cluster: readonly Buffer[]): Buffer {
  return Buffer.concat([
    element([0x1a, 0x45, 0xdf, 0xa3], element([0x42, 0x82], Buffer.from('webm'))),
    Buffer.from([0x18, 0x53, 0x80, 0x67, UNKNOWN_SIZE, 0x16, 0x54, 0xae, 0x6b, UNKNOWN_SIZE]),
    ...tracks,
    Buffer.from([0x1f, 0x43, 0xb6, 0x75, UNKNOWN_SIZE]),
    ...cluster,
  ]);
}

export function opusTrack(): Buffer {
  return webmTrack({ codec: 'A_OPUS', number: 1 });
}

/** A block of the track of that number, without a byte of sound. */
export function emptyBlock(trackNumber: number): Buffer {
  return element([0xa3], Buffer.from([0x80 | trackNumber, 0, 0, 0]));
}

/** Half of it tracks without a codec, half blocks that ask each of them whose they are. */
export function manyWebmTracks(numBytes: number): Buffer {
  const tracks = repeated(Buffer.from([0xae, 0x80]), numBytes / 2);
  return webm([tracks, opusTrack()], repeated(emptyBlock(2), numBytes / 2));
}

/** Eight channels of one value in the longest blocks there are: 60,000 times its size as floats. */
export function constantFlac(numFrames: number): Buffer {
  const subframes = Array.from({ length: 8 }, () => constant(1));
  const frames = Array.from({ length: numFrames }, () => ({ blockSize: 65_535, subframes }));
  return flacFile({ sampleRateHz: 16_000, numSamples: 0, frames });
}

/** A RIFF chunk with nothing in it. */
export function emptyChunk(): Buffer {
  return Buffer.from('junk\0\0\0\0', 'latin1');
}

/** The smallest frame of MPEG audio by what comes of it: layer II, 8 kbit/s, 24 kHz, 48 bytes. */
export function smallMp3Frame(): Buffer {
  const frame = Buffer.alloc(48);
  frame.writeUInt32BE(0xfff514c4);
  return frame;
}
