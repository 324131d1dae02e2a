import type { Turns } from '#mesh/async/turns.ts';
import { MeshError } from '#mesh/errors.ts';
import { OPUS_MAGIC, type OpusStream } from './opus.ts';

// RFC 3533: a page is a header, a table of segment lengths and the segments; a packet is a run of
// segments whose last is shorter than 255 bytes and may go on over pages.

const HEADER_BYTES = 27;
const FLAGS_OFFSET = 5;
const SEGMENTS_OFFSET = 26;
/** Flag of the first page of a stream. */
const BEGINS = 0x02;
const CHECKSUM_OFFSET = 22;
const FULL_SEGMENT = 255;
/** Either half of the granule position of a page on which no packet ends. */
const NO_POSITION = 0xffffffff;
/** More than the largest packet of Opus has, 61,298 bytes. */
const MAX_PACKET_BYTES = 64 * 1024;
/** Most links of a chain: each has a decoder of its own. */
const MAX_LINKS = 64;

interface OggPage {
  readonly serial: number;
  /** Samples up to the end of the page's last packet, the skipped start included; null: none ends. */
  readonly granulePosition: number | null;
  /** Lengths of the segments, which lie behind each other from `bodyStart` to `end`. */
  readonly lengths: Buffer;
  readonly bodyStart: number;
  readonly end: number;
}

/**
 * Cuts a file into the links of its chain (RFC 3533 §4), each a file by itself: streams begin anew
 * behind pages that begin none. Recordings put behind one another are such a chain.
 */
export async function oggLinks(bytes: Buffer, turns: Turns): Promise<readonly Buffer[]> {
  const starts = [0];
  let isBegun = false;
  for (let at = 0; at < bytes.length; ) {
    if (turns.isOver) await turns.next();
    const end = pageEnd(bytes, at);
    if (end === null) break;
    const begins = ((bytes[at + FLAGS_OFFSET] ?? 0) & BEGINS) !== 0;
    if (begins && isBegun) starts.push(at);
    if (starts.length > MAX_LINKS) {
      const message = `the Ogg file is a chain of more than ${MAX_LINKS} recordings, the most that are allowed`;
      throw new MeshError('PAYLOAD_TOO_LARGE', message);
    }
    isBegun = !begins;
    at = end;
  }
  return starts.map((start, i) => bytes.subarray(start, starts[i + 1]));
}

/**
 * Reads the first Opus stream of an Ogg file without a chain: its packets but the second, which
 * holds tags. A file that is cut short is a shorter recording.
 */
export async function* readOggOpus(bytes: Buffer, turns: Turns): OpusStream {
  let serial: number | undefined;
  let preSkip = 0;
  let lastPosition = 0;
  const packets = new PacketAssembly();
  for (let at = 0; at < bytes.length; ) {
    if (turns.isOver) await turns.next();
    const page = readPage(bytes, at);
    if (page === null) break;
    at = page.end;
    serial ??= isOpusHead(bytes, page) ? page.serial : undefined;
    if (page.serial !== serial) continue;
    lastPosition = page.granulePosition ?? lastPosition;
    for (const packet of packets.add(bytes, page)) {
      if (packets.numPackets === 1 && packet.length >= 12) preSkip = packet.readUInt16LE(10);
      yield packet;
    }
  }
  if (serial === undefined) throw unreadable('it holds no Opus stream; other codecs are not read');
  return { numSamples: Math.max(0, lastPosition - preSkip), numPaddingSamples: 0 };
}

/** Puts the packets of a stream together from its pages. */
class PacketAssembly {
  /** Packets that have ended. */
  numPackets = 0;
  /** Of the packet that goes on. */
  readonly #pieces: Buffer[] = [];
  #numBytes = 0;

  /** The packets that end on the next page; tags are passed over, pictures in them included. */
  *add(bytes: Buffer, page: OggPage): Generator<Buffer> {
    let [start, end] = [page.bodyStart, page.bodyStart];
    for (const length of page.lengths) {
      end += length;
      if (length === FULL_SEGMENT) continue;
      this.#keep(bytes.subarray(start, end));
      start = end;
      const packet = Buffer.concat(this.#pieces.splice(0));
      this.#numBytes = 0;
      this.numPackets += 1;
      if (this.numPackets !== 2) yield packet;
    }
    if (end > start) this.#keep(bytes.subarray(start, end));
  }

  #keep(piece: Buffer): void {
    if (this.numPackets === 1) return;
    this.#numBytes += piece.length;
    if (this.#numBytes > MAX_PACKET_BYTES) {
      throw unreadable(`a packet has more than ${MAX_PACKET_BYTES} bytes`);
    }
    this.#pieces.push(piece);
  }
}

function isOpusHead(bytes: Buffer, { bodyStart, end }: OggPage): boolean {
  return (
    bytes.toString('latin1', bodyStart, Math.min(bodyStart + OPUS_MAGIC.length, end)) === OPUS_MAGIC
  );
}

/**
 * Finds the byte behind the page at a byte; null if the file ends within it. It makes no views of the
 * bytes: a file may have a million pages.
 */
function pageEnd(bytes: Buffer, at: number): number | null {
  const magic = bytes.toString('latin1', at, at + 4);
  if (!'OggS'.startsWith(magic)) throw unreadable(`no page at byte ${at}`);
  const tableStart = at + HEADER_BYTES;
  const bodyStart = tableStart + (bytes[at + SEGMENTS_OFFSET] ?? 0);
  if (tableStart > bytes.length || bodyStart > bytes.length) return null;
  let end = bodyStart;
  for (let i = tableStart; i < bodyStart; i++) end += bytes[i] ?? 0;
  return end > bytes.length ? null : end;
}

/** Reads the page at a byte; null if the file ends within it. */
function readPage(bytes: Buffer, at: number): OggPage | null {
  const end = pageEnd(bytes, at);
  if (end === null) return null;
  const tableStart = at + HEADER_BYTES;
  const header = bytes.subarray(at, tableStart);
  const bodyStart = tableStart + header.readUInt8(SEGMENTS_OFFSET);
  const lengths = bytes.subarray(tableStart, bodyStart);
  if (checksum(bytes.subarray(at, end)) !== header.readUInt32LE(CHECKSUM_OFFSET)) {
    throw unreadable(`the page at byte ${at} is damaged`);
  }
  const [low, high] = [header.readUInt32LE(6), header.readUInt32LE(10)];
  const hasPosition = low !== NO_POSITION || high !== NO_POSITION;
  const granulePosition = hasPosition ? high * 2 ** 32 + low : null;
  return { serial: header.readUInt32LE(14), granulePosition, lengths, bodyStart, end };
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
