import { MeshError } from '#mesh/errors.ts';
import { OPUS_MAGIC, type OpusStream } from './opus.ts';

// RFC 3533: a page is a header, a table of segment lengths and the segments; a packet is a run of
// segments whose last is shorter than 255 bytes and may go on over pages.

const HEADER_BYTES = 27;
const CHECKSUM_OFFSET = 22;
const FULL_SEGMENT = 255;
/** Granule position of a page on which no packet ends. */
const NO_POSITION = 0xffffffffffffffffn;

interface OggPage {
  readonly serial: number;
  /** Samples up to the end of the page's last packet, the skipped start included. */
  readonly granulePosition: bigint;
  readonly segments: readonly Buffer[];
  readonly bytes: number;
}

/** Reads the first Opus stream of an Ogg file. */
export function readOggOpus(bytes: Buffer): OpusStream {
  let serial: number | undefined;
  let lastPosition = 0n;
  const packets: Buffer[] = [];
  let unfinished: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const page = readPage(bytes, at);
    at += page.bytes;
    serial ??= isOpusHead(page) ? page.serial : undefined;
    if (page.serial !== serial) continue;
    if (page.granulePosition !== NO_POSITION) lastPosition = page.granulePosition;
    for (const segment of page.segments) {
      unfinished.push(segment);
      if (segment.length === FULL_SEGMENT) continue;
      packets.push(Buffer.concat(unfinished));
      unfinished = [];
    }
  }
  const [head, , ...audio] = packets;
  if (head === undefined) throw unreadable('it holds no Opus stream; other codecs are not read');
  if (unfinished.length > 0) throw unreadable('its last packet is cut short');
  const preSkip = head.length >= 12 ? head.readUInt16LE(10) : 0;
  const numSamples = Math.max(0, Number(lastPosition) - preSkip);
  return { head, packets: audio, numSamples, numPaddingSamples: 0 };
}

function isOpusHead(page: OggPage): boolean {
  return page.segments[0]?.toString('latin1', 0, OPUS_MAGIC.length) === OPUS_MAGIC;
}

function readPage(bytes: Buffer, at: number): OggPage {
  const header = bytes.subarray(at, at + HEADER_BYTES);
  if (header.length < HEADER_BYTES) throw unreadable('its last page is cut short');
  if (header.toString('latin1', 0, 4) !== 'OggS') throw unreadable(`no page at byte ${at}`);
  const tableStart = at + HEADER_BYTES;
  const lengths = bytes.subarray(tableStart, tableStart + header.readUInt8(26));
  let start = tableStart + lengths.length;
  const segments: Buffer[] = [];
  for (const length of lengths) {
    segments.push(bytes.subarray(start, start + length));
    start += length;
  }
  if (start > bytes.length || lengths.length < header.readUInt8(26)) {
    throw unreadable('its last page is cut short');
  }
  if (checksum(bytes.subarray(at, start)) !== header.readUInt32LE(CHECKSUM_OFFSET)) {
    throw unreadable(`the page at byte ${at} is damaged`);
  }
  return {
    serial: header.readUInt32LE(14),
    granulePosition: header.readBigUInt64LE(6),
    segments,
    bytes: start - at,
  };
}

/** CRC-32 with polynomial 0x04c11db7, neither reflected nor inverted, its own field read as zero. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  return crc;
});

function checksum(page: Buffer): number {
  let crc = 0;
  for (let i = 0; i < page.length; i++) {
    const isOwnField = i >= CHECKSUM_OFFSET && i < CHECKSUM_OFFSET + 4;
    const byte = isOwnField ? 0 : (page[i] ?? 0);
    crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ byte] ?? 0);
  }
  return crc >>> 0;
}

function unreadable(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the Ogg file cannot be read: ${why}`);
}
