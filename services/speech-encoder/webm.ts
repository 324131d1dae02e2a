import type { Turns } from '#mesh/async/turns.ts';
import { quoted } from '#mesh/client-text.ts';
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
/** Most tracks of a file: more than any recording has. */
const MAX_TRACKS = 128;
/** Most bytes of a codec id that are compared. */
const MAX_CODEC_ID_BYTES = 32;

interface Track {
  number: number;
  codecId: string;
  codecPrivate: Buffer;
}

interface Element {
  readonly id: number;
  /** Empty for a master, whose elements come after it. */
  readonly body: Buffer;
  readonly end: number;
}

/**
 * Reads the first Opus track of a WebM or Matroska file; tracks stand before what is in them. A file
 * that is cut short is a shorter recording.
 */
export async function* readWebmOpus(bytes: Buffer, turns: Turns): OpusStream {
  const tracks: Track[] = [];
  let opus: Track | undefined;
  let paddingNs = 0;
  for (let at = 0; at < bytes.length; ) {
    if (turns.isOver) await turns.next();
    const element = readElement(bytes, at);
    if (element === null) break;
    at = element.end;
    switch (element.id) {
      case ID.simpleBlock:
      case ID.block: {
        if (opus === undefined) {
          opus = opusTrack(tracks);
          yield opus.codecPrivate;
        }
        const frame = frameOf(element.body, opus);
        if (frame !== null) yield frame;
        break;
      }
      case ID.discardPadding:
        paddingNs = signed(element.body);
        break;
      default:
        if (opus === undefined) describeTrack(element, tracks);
    }
  }
  if (opus === undefined) yield opusTrack(tracks).codecPrivate;
  return { numSamples: null, numPaddingSamples: Math.round(paddingNs / NANOSECONDS_A_SAMPLE) };
}

/** Takes over what an element says of a track: always the last one begun. */
function describeTrack({ id, body }: Element, tracks: Track[]): void {
  const track = tracks.at(-1);
  if (id === ID.trackEntry) {
    if (tracks.length === MAX_TRACKS) throw unreadable(`it has more than ${MAX_TRACKS} tracks`);
    tracks.push({ number: 0, codecId: '', codecPrivate: body });
  } else if (track === undefined) return;
  else if (id === ID.trackNumber) track.number = unsigned(body);
  else if (id === ID.codecId) track.codecId = body.toString('latin1', 0, MAX_CODEC_ID_BYTES);
  else if (id === ID.codecPrivate) track.codecPrivate = body;
}

function opusTrack(tracks: readonly Track[]): Track {
  const track = tracks.find(({ codecId }) => codecId === CODEC_OPUS);
  if (track !== undefined) return track;
  const codecs = tracks.map(({ codecId }) => codecId).join(', ');
  throw unreadable(`it holds ${codecs === '' ? 'no track' : quoted(codecs)}; only Opus is read`);
}

/** A block is a track number, a time (2 bytes), flags and the frame. */
function frameOf(block: Buffer, track: Track): Buffer | null {
  const number = readSize(block, 0);
  const start = (number?.bytes ?? 0) + 3;
  if (number === null || block.length < start) throw unreadable('a block is cut short');
  if (number.value !== track.number) return null;
  if ((block.readUInt8(start - 1) & LACING_FLAGS) !== 0) throw unreadable('its blocks are laced');
  return block.subarray(start);
}

/** Reads the element at a byte; null if the file ends within it. */
function readElement(bytes: Buffer, at: number): Element | null {
  const id = readId(bytes, at);
  const size = id === null ? null : readSize(bytes, at + id.bytes);
  if (id === null || size === null) return null;
  const start = at + id.bytes + size.bytes;
  const isMaster = MASTERS.has(id.value);
  const end = isMaster ? start : start + (size.value ?? Infinity);
  if (end > bytes.length) return null;
  return { id: id.value, body: bytes.subarray(start, end), end };
}

/** A number whose count of leading zero bits says how many bytes follow the first. */
interface VariableInt<Value> {
  readonly value: Value;
  readonly bytes: number;
}

/** Ids keep the marker bit and have at most four bytes; null if the bytes end within it. */
function readId(bytes: Buffer, at: number): VariableInt<number> | null {
  const length = Math.clz32(bytes[at] ?? 0) - 23;
  if (length > 4) throw unreadable(`no element at byte ${at}`);
  if (at + length > bytes.length) return null;
  return { value: bytes.readUIntBE(at, length), bytes: length };
}

/**
 * Sizes drop the marker bit; all ones mean unknown, null here. Above 2^53 they are larger than any
 * file. Null if the bytes end within it.
 */
function readSize(bytes: Buffer, at: number): VariableInt<number | null> | null {
  const length = Math.clz32(bytes[at] ?? 0) - 23;
  if (at + length > bytes.length) return null;
  if (length > 8) throw unreadable(`no size at byte ${at}`);
  // Without the marker before it is read: with it the number would lose digits.
  let value = (bytes[at] ?? 0) & (0xff >> length);
  for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return { value: value === 2 ** (7 * length) - 1 ? null : value, bytes: length };
}

function unsigned(body: Buffer): number {
  if (body.length > 8) throw unreadable(`a number of ${body.length} bytes`);
  let value = 0;
  for (const byte of body) value = value * 256 + byte;
  return value;
}

function signed(body: Buffer): number {
  const value = unsigned(body);
  const isNegative = ((body[0] ?? 0) & 0x80) !== 0;
  return isNegative ? value - 256 ** body.length : value;
}

function unreadable(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the WebM file cannot be read: ${why}`);
}
