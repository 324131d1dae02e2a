import { MeshError } from '#mesh/errors.ts';
import type { OpusStream } from './opus.ts';

// EBML (RFC 8794): elements of id, size and body. Masters only group what follows, so a walk that
// steps into those it needs and over everything else reads recordings of unknown size as well.

const ID = {
  segment: 0x18538067,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  codecId: 0x86,
  codecPrivate: 0x63a2,
  cluster: 0x1f43b675,
  simpleBlock: 0xa3,
  blockGroup: 0xa0,
  block: 0xa1,
  discardPadding: 0x75a2,
} as const;

const MASTERS: ReadonlySet<number> = new Set([
  ID.segment,
  ID.tracks,
  ID.trackEntry,
  ID.cluster,
  ID.blockGroup,
]);

/** Two bits of a block's flags: several frames in one block. */
const LACING_FLAGS = 0x06;
const CODEC_OPUS = 'A_OPUS';
const NANOSECONDS_A_SAMPLE = 1e9 / 48_000;

interface Track {
  number: number;
  codecId: string;
  codecPrivate: Buffer;
}

interface Element {
  readonly id: number;
  readonly body: Buffer;
}

/** Reads the first Opus track of a WebM or Matroska file. */
export function readWebmOpus(bytes: Buffer): OpusStream {
  const tracks: Track[] = [];
  const packets: Buffer[] = [];
  let paddingNs = 0;
  for (const { id, body } of elements(bytes)) {
    const track = tracks.at(-1);
    if (id === ID.trackEntry) tracks.push({ number: 0, codecId: '', codecPrivate: body });
    else if (id === ID.trackNumber && track) track.number = Number(unsigned(body));
    else if (id === ID.codecId && track) track.codecId = body.toString('latin1');
    else if (id === ID.codecPrivate && track) track.codecPrivate = body;
    else if (id === ID.discardPadding) paddingNs = Number(signed(body));
    else if (id === ID.simpleBlock || id === ID.block) {
      const frame = frameOf(body, opusTrack(tracks));
      if (frame !== null) packets.push(frame);
    }
  }
  const numPaddingSamples = Math.round(paddingNs / NANOSECONDS_A_SAMPLE);
  return { head: opusTrack(tracks).codecPrivate, packets, numSamples: null, numPaddingSamples };
}

function opusTrack(tracks: readonly Track[]): Track {
  const track = tracks.find(({ codecId }) => codecId === CODEC_OPUS);
  if (track !== undefined) return track;
  const found = tracks.map(({ codecId }) => codecId).join(', ') || 'no track';
  throw unreadable(`it holds ${found}; only Opus is read`);
}

/** A block is a track number, a time (2 bytes), flags and the frame. */
function frameOf(block: Buffer, track: Track): Buffer | null {
  const number = readSize(block, 0);
  const start = number.bytes + 3;
  if (block.length < start) throw unreadable('a block is cut short');
  if (number.value !== track.number) return null;
  if ((block.readUInt8(start - 1) & LACING_FLAGS) !== 0) throw unreadable('its blocks are laced');
  return block.subarray(start);
}

/** All elements in order; a master comes with an empty body and before what is in it. */
function* elements(bytes: Buffer): Generator<Element> {
  for (let at = 0; at < bytes.length; ) {
    const id = readId(bytes, at);
    const size = readSize(bytes, at + id.bytes);
    at += id.bytes + size.bytes;
    const isMaster = MASTERS.has(id.value);
    const length = isMaster ? 0 : (size.value ?? Infinity);
    if (at + length > bytes.length) throw unreadable('it is cut short');
    yield { id: id.value, body: bytes.subarray(at, at + length) };
    at += length;
  }
}

/** A number whose count of leading zero bits says how many bytes follow the first. */
interface VariableInt<Value> {
  readonly value: Value;
  readonly bytes: number;
}

/** Ids keep the marker bit and have at most four bytes. */
function readId(bytes: Buffer, at: number): VariableInt<number> {
  const length = Math.clz32(bytes[at] ?? 0) - 23;
  if (length > 4 || at + length > bytes.length) throw unreadable(`no element at byte ${at}`);
  return { value: bytes.readUIntBE(at, length), bytes: length };
}

/** Sizes drop the marker bit; all ones mean unknown, null here. */
function readSize(bytes: Buffer, at: number): VariableInt<number | null> {
  const length = Math.clz32(bytes[at] ?? 0) - 23;
  if (length > 8 || at + length > bytes.length) throw unreadable('it is cut short');
  const all = unsigned(bytes.subarray(at, at + length));
  const value = BigInt.asUintN(7 * length, all);
  const isUnknown = value === BigInt.asUintN(7 * length, -1n);
  return { value: isUnknown ? null : Number(value), bytes: length };
}

function unsigned(body: Buffer): bigint {
  if (body.length > 8) throw unreadable(`a number of ${body.length} bytes`);
  return body.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function signed(body: Buffer): bigint {
  return BigInt.asIntN(8 * body.length, unsigned(body));
}

function unreadable(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the WebM file cannot be read: ${why}`);
}
