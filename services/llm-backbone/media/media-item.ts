import { hash } from 'node:crypto';
import { imagePreprocessing, preprocessingKey } from '#mesh/encode/preprocess-options.ts';
import { checkMediaType } from '#mesh/encode/upload-limits.ts';
import { MeshError } from '#mesh/errors.ts';
import { type MediaModality, modalityOf } from '#mesh/modality.ts';
import type { CallTrace } from '#mesh/trace/call-trace.ts';
import type { PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';
import type { EncodePlan } from '#protos/autoglm/encoder/v1/encoder.ts';
import type { MediaItem } from '#protos/autoglm/llm/v1/prompt.ts';

const HASH_BYTES = 32;

/** The facts that decide an item's embedding, and the key they make. */
export interface MediaIdentity {
  readonly modality: MediaModality;
  /**
   * Equal keys have equal rows: content hash, modality, media type and preprocessing options. A salt
   * makes it another key.
   */
  readonly key: string;
  readonly mediaType: string;
  /** SHA-256 of the bytes, 32 bytes. */
  readonly contentHash: Buffer;
  readonly sizeBytes: number;
  readonly options: PreprocessOptions | undefined;
  /** Only items with equal salt share what is cached; empty for the common cache. */
  readonly cacheSalt: string;
}

/** A media item of a request whose bytes have arrived. */
export interface EncodableItem extends MediaIdentity {
  /** The request that brought it, for logs; equal items may come with others. */
  readonly requestId: string;
  /** Who asks; encode streams are shared out between clients. */
  readonly client: string;
  /** The call that brought it, whose stages its encoding is. */
  readonly call: CallTrace;
  /** The bytes of the item, in order. */
  readonly chunks: readonly Uint8Array[];
}

/** The part of an encoder's plan that is enough to lay out a prompt. */
export type ItemShape = Pick<EncodePlan, 'numRows' | 'durationMs'> & {
  readonly grid: { readonly t: number; readonly h: number; readonly w: number };
};

/** Returns the name of an item in an error; the gateway replaces it by the name its client used. */
export function mediaParam(index: number): string {
  return `media[${index}]`;
}

/** Reads what a start says of one of its media items. */
export function readIdentity(item: MediaItem, index: number): MediaIdentity {
  const { mediaType, contentHash, options } = item;
  const sizeBytes = Number(item.sizeBytes);
  if (contentHash.length !== HASH_BYTES) {
    const message = `media item ${index}: content_hash has ${HASH_BYTES} bytes, got ${contentHash.length}`;
    throw new MeshError('INVALID_REQUEST', message, { param: mediaParam(index) });
  }
  if (sizeBytes === 0) {
    const param = mediaParam(index);
    throw new MeshError('UNSUPPORTED_MEDIA', `media item ${index} is empty: 0 bytes`, { param });
  }
  checkMediaType(mediaType, mediaParam(index));
  const modality = modalityOf(item.modality);
  if (modality === undefined) {
    const message = `media item ${index} has modality ${item.modality}; image and audio are known`;
    throw new MeshError('INVALID_REQUEST', message, { param: mediaParam(index) });
  }
  // A recording has no preprocessing options.
  const variant =
    modality === 'image' ? preprocessingKey(imagePreprocessing(options, mediaParam(index))) : '';
  const key = `${contentHash.toString('hex')} ${modality} ${mediaType} ${variant}`;
  return { modality, key, mediaType, contentHash, sizeBytes, options, cacheSalt: '' };
}

/** Returns an item that shares nothing cached with items of another salt. */
export function salted(item: MediaIdentity, cacheSalt: string): MediaIdentity {
  if (cacheSalt === '') return item;
  return { ...item, cacheSalt, key: `${item.key} salt ${hash('sha256', cacheSalt, 'hex')}` };
}
