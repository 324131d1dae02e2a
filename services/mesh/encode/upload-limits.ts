import { MeshError } from '#mesh/errors.ts';

/** Most bytes of one chunk of media, on its way to a backbone or an encoder. */
export const MAX_CHUNK_BYTES = 256 * 1024;

/** Longest salt of the caches, in bytes of UTF-8. */
export const MAX_CACHE_SALT_BYTES = 1024;

/** Most characters of a media type: two names of 127 characters and a few parameters. */
const MAX_MEDIA_TYPE_CHARS = 512;

/**
 * Refuses a media type longer than RFC 6838 allows with its parameters: it becomes part of keys.
 */
export function checkMediaType({ length }: string, param: string): void {
  if (length <= MAX_MEDIA_TYPE_CHARS) return;
  const message = `${param} has ${length} characters, at most ${MAX_MEDIA_TYPE_CHARS} are allowed`;
  throw new MeshError('INVALID_REQUEST', message, { param });
}

/** Refuses a chunk of media that is too long; an empty one is harmless. */
export function checkChunkLength(numBytes: number): void {
  if (numBytes <= MAX_CHUNK_BYTES) return;
  const message = `a chunk has ${numBytes} bytes, at most ${MAX_CHUNK_BYTES} are allowed: send the item in more chunks`;
  throw new MeshError('INVALID_REQUEST', message);
}
