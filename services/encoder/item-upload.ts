import { excerpt } from '#mesh/client-text.ts';
import { ContentHash } from '#mesh/encode/content-hash.ts';
import {
  checkChunkLength,
  checkMediaType,
  MAX_CACHE_SALT_BYTES,
} from '#mesh/encode/upload-limits.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkClientId } from '#mesh/fairness/client-id.ts';
import type { EncodeHeader, EncodeRequest } from '#protos/autoglm/encoder/v1/encoder.ts';
import type { ItemReader } from './media-reader.ts';

const HASH_BYTES = 32;

/** Limits that a header is checked against. */
export interface HeaderLimits {
  readonly maxItemBytes: number;
  readonly modelId: string;
  readonly fingerprint: string;
}

/** Takes the first message of a call, which must be a header. */
export async function readHeader(requests: AsyncIterator<EncodeRequest>): Promise<EncodeHeader> {
  const first = await requests.next();
  const event = first.done === true ? undefined : first.value.event;
  if (event?.$case === 'header') return event.value;
  const got = first.done === true ? 'the end of the stream' : (event?.$case ?? 'an empty message');
  throw new MeshError('INVALID_REQUEST', `an Encode call starts with a header, got ${got}`);
}

/** Refuses a header that this encoder cannot answer. */
export function checkHeader(header: EncodeHeader, limits: HeaderLimits): void {
  if (![0, HASH_BYTES].includes(header.contentHash.length)) {
    const message = `content_hash has ${HASH_BYTES} bytes or none, got ${header.contentHash.length}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'content_hash' });
  }
  if (header.expectedFingerprint !== '' && header.expectedFingerprint !== limits.fingerprint) {
    throw new MeshError(
      'MODEL_NOT_FOUND',
      `this encoder runs ${limits.modelId} with weights ${limits.fingerprint}; the caller expects weights ${excerpt(header.expectedFingerprint)}`,
      { param: 'expected_fingerprint' },
    );
  }
  if (Buffer.byteLength(header.cacheSalt) > MAX_CACHE_SALT_BYTES) {
    const message = `cache_salt: at most ${MAX_CACHE_SALT_BYTES} bytes are allowed`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'cache_salt' });
  }
  checkClientId(header.clientId);
  checkMediaType(header.mediaType, 'media_type');
  if (header.sizeBytes !== undefined) refuseLarge(Number(header.sizeBytes), limits);
}

function refuseLarge(bytes: number, limits: { readonly maxItemBytes: number }): void {
  if (bytes <= limits.maxItemBytes) return;
  const message = `the item has ${bytes} bytes, at most ${limits.maxItemBytes} are allowed`;
  throw new MeshError('PAYLOAD_TOO_LARGE', message);
}

/**
 * Feeds a reader with the chunks of a call up to the item's end and returns their SHA-256. Refuses
 * an item whose size or hash is not the one its header declared.
 */
export async function receiveItem(
  requests: AsyncIterator<EncodeRequest>,
  target: { readonly header: EncodeHeader; readonly reader: ItemReader },
  options: { readonly maxItemBytes: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  const { header, reader } = target;
  const hash = new ContentHash();
  let numBytes = 0;
  for (;;) {
    const message = await requests.next();
    // A cancelled call ends its request stream just as a half-close does.
    options.signal.throwIfAborted();
    if (message.done === true || message.value.event?.$case === 'contentEnd') break;
    const chunk = chunkOf(message.value);
    numBytes += chunk.length;
    refuseLarge(numBytes, options);
    reader.push(chunk);
    await hash.update(chunk);
  }
  if (numBytes === 0) throw new MeshError('UNSUPPORTED_MEDIA', 'the item is empty: 0 bytes');
  if (header.sizeBytes !== undefined && Number(header.sizeBytes) !== numBytes) {
    const message = `size_bytes says ${header.sizeBytes} bytes, ${numBytes} arrived`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'size_bytes' });
  }
  const digest = hash.digest();
  if (header.contentHash.length > 0 && !header.contentHash.equals(digest)) {
    const message = `content_hash is ${header.contentHash.toString('hex')}, the bytes have ${digest.toString('hex')}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'content_hash' });
  }
  return digest;
}

/**
 * Waits until a caller has half-closed, which says that it has taken the rows, or has asked for them by
 * another way.
 */
export async function awaitAnswer(
  requests: AsyncIterator<EncodeRequest>,
  signal: AbortSignal,
): Promise<'taken' | 'refused'> {
  for (;;) {
    const message = await requests.next();
    signal.throwIfAborted();
    if (message.done === true) return 'taken';
    if (message.value.event?.$case === 'deviceRowsRefusal') return 'refused';
  }
}

function chunkOf(message: EncodeRequest): Buffer {
  if (message.event?.$case !== 'chunk') {
    const got = message.event?.$case ?? 'an empty message';
    throw new MeshError('INVALID_REQUEST', `after the header only chunks may come, got ${got}`);
  }
  const chunk = message.event.value;
  checkChunkLength(chunk.length);
  return chunk;
}
