import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import zlib from 'node:zlib';
import { MeshError } from '#mesh/errors.ts';

/** Most encodings over one another; a client needs one. */
const MAX_ENCODINGS = 2;
/** Bytes that a decoder hands on at once, so that a bomb is counted as it opens. */
const CHUNK_BYTES = 64 * 1024;

const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', () => zlib.createGunzip({ chunkSize: CHUNK_BYTES })],
  ['x-gzip', () => zlib.createGunzip({ chunkSize: CHUNK_BYTES })],
  ['deflate', () => zlib.createInflate({ chunkSize: CHUNK_BYTES })],
  ['br', () => zlib.createBrotliDecompress({ chunkSize: CHUNK_BYTES })],
  ...zstdDecoder(),
]);

/** Content encodings of bodies that this server reads. */
export const CONTENT_ENCODINGS: readonly string[] = [...DECODERS.keys()].filter(
  (name) => name !== 'x-gzip',
);

/** Tells whether a body is in a content encoding, so that its length is not that of its bytes. */
export function isEncoded({ headers }: IncomingMessage): boolean {
  return encodingsOf(headers['content-encoding']).length > 0;
}

/** The bytes of a body without its content encodings. */
export interface DecodedBody {
  readonly bytes: Readable;
  /** Ends the decoding; the rest of the body is left to others. */
  close(): void;
}

/**
 * Decodes a body while it arrives, in the pool of threads, so that one that grows without end can
 * be cut. Refuses an encoding that is not known; calls `onDamage` for bytes that are not in theirs.
 */
export function decodedBody(raw: IncomingMessage, onDamage: (cause: Error) => void): DecodedBody {
  const encodings = encodingsOf(raw.headers['content-encoding']);
  if (encodings.length > MAX_ENCODINGS) throw refusal(`has ${encodings.length} encodings`);
  const decoders = encodings.reverse().map((name) => {
    const create = DECODERS.get(name);
    if (create === undefined) throw refusal('is in an encoding that is not read here');
    return create().on('error', onDamage);
  });
  const [first, ...others] = decoders;
  if (first === undefined) return { bytes: raw, close: () => {} };
  const leave = pipeJoined(raw, first);
  const bytes = others.reduce<Readable>((before, decoder) => before.pipe(decoder), first);
  return {
    bytes,
    close: () => {
      leave();
      for (const decoder of decoders) decoder.destroy();
    },
  };
}

/**
 * Pipes a body into its decoder, what comes in one turn as one block: a decoder takes as long for a
 * byte as for a block. Returns a function that leaves the rest of the body to others.
 */
function pipeJoined(raw: Readable, decoder: Transform): () => void {
  let pieces: Buffer[] = [];
  const handOn = () => {
    if (pieces.length === 0) return;
    const block = Buffer.concat(pieces);
    pieces = [];
    if (decoder.write(block)) return;
    raw.pause();
    decoder.once('drain', resume);
  };
  const resume = () => raw.resume();
  const onData = (piece: Buffer) => {
    if (pieces.push(piece) === 1) setImmediate(handOn);
  };
  const onEnd = () => {
    handOn();
    decoder.end();
  };
  raw.on('data', onData).on('end', onEnd);
  return () => {
    pieces = [];
    raw.off('data', onData).off('end', onEnd).resume();
    decoder.off('drain', resume);
  };
}

export function damaged(cause: Error): MeshError {
  const message = 'the body cannot be decoded from its content-encoding: it is damaged or cut off';
  return new MeshError('INVALID_REQUEST', message, { cause });
}

function encodingsOf(header: string | undefined): string[] {
  const names = (header ?? '').slice(0, 200).split(',');
  return names
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity');
}

/** Returns the decoder for zstd if this Node has one: from 22.15 and 23.8 on. */
function zstdDecoder(): [string, () => Transform][] {
  const create: unknown = Reflect.get(zlib, 'createZstdDecompress');
  if (typeof create !== 'function') return [];
  return [['zstd', () => create({ chunkSize: CHUNK_BYTES })]];
}

function refusal(problem: string): MeshError {
  const accepted = CONTENT_ENCODINGS.join(', ');
  const message = `the body ${problem}; send it plain or with one content-encoding of ${accepted}`;
  return new MeshError('UNSUPPORTED_CONTENT_TYPE', message);
}
