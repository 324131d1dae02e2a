import { constant, flacFile } from './flac-file.ts';

// Files that cost far more than their size if a reader is not careful.

/** Repeats a few bytes, in as many whole copies as fit. */
export function repeated(unit: Buffer, numBytes: number): Buffer {
  return Buffer.alloc(Math.floor(numBytes / unit.length) * unit.length, unit);
}

/** Makes an OpusHead (RFC 7845 §5.1): mono, nothing skipped, no gain. */
function opusHead(): Buffer {
  const head = Buffer.alloc(19);
  head.write('OpusHead');
  head[8] = 1;
  head[9] = 1;
  return head;
}

/** Makes a page of one Ogg stream with its checksum; the segments' lengths add up to the body's. */
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

/** Makes an Ogg Opus stream: the two header pages, then the given pages. */
export function oggOpus(...pages: readonly Buffer[]): Buffer {
  const head = opusHead();
  const tags = Buffer.from('OpusTags');
  return Buffer.concat([oggPage([head.length], head), oggPage([tags.length], tags), ...pages]);
}

/** Makes pages that hold only packets without a byte. */
export function emptyOggPackets(numBytes: number): Buffer {
  return oggOpus(repeated(oggPage(Array.from({ length: 255 }, () => 0)), numBytes));
}

/** Makes an EBML element of at most 126 bytes. */
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

/** Makes a WebM file of the tracks and a cluster with the given elements. */
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

/** Makes a block of the track of this number, without a byte of sound. */
export function emptyBlock(trackNumber: number): Buffer {
  return element([0xa3], Buffer.from([0x80 | trackNumber, 0, 0, 0]));
}

/**
 * Makes a file of which half is tracks without a codec, and half blocks for which a reader must
 * search all tracks.
 */
export function manyWebmTracks(numBytes: number): Buffer {
  const tracks = repeated(Buffer.from([0xae, 0x80]), numBytes / 2);
  return webm([tracks, opusTrack()], repeated(emptyBlock(2), numBytes / 2));
}

/**
 * Makes eight channels of one value in the longest blocks there are: as floats, 60,000 times the
 * file's size.
 */
export function constantFlac(numFrames: number): Buffer {
  const subframes = Array.from({ length: 8 }, () => constant(1));
  const frames = Array.from({ length: numFrames }, () => ({ blockSize: 65_535, subframes }));
  return flacFile({ sampleRateHz: 16_000, numSamples: 0, frames });
}

/** Makes an empty RIFF chunk. */
export function emptyChunk(): Buffer {
  return Buffer.from('junk\0\0\0\0', 'latin1');
}

/**
 * Makes the MPEG audio frame that is smallest for the sound it gives: layer II, 8 kbit/s, 24 kHz,
 * 48 bytes.
 */
export function smallMp3Frame(): Buffer {
  const frame = Buffer.alloc(48);
  frame.writeUInt32BE(0xfff514c4);
  return frame;
}
