import type { OpenedFile } from '#encoder/media-reader.ts';
import { MeshError } from '#mesh/errors.ts';
import { opaqueGif, refuseManyFrames } from './animation.ts';
import { type ImageLimits, loadPixels, readImageSize } from './image-decode.ts';
import { refuseManyScans } from './jpeg-scans.ts';
import { refuseManyChunks } from './png-chunks.ts';

/** Bytes of the longest magic number: "RIFF", a length, "WEBP". */
const MAGIC_BYTES = 12;

/** The formats a browser or a phone sends; each is recognised by its first bytes, never by its name. */
function formatOf(head: Buffer): 'png' | 'jpeg' | 'gif' | 'webp' | undefined {
  const ascii = head.toString('latin1', 0, MAGIC_BYTES);
  if (ascii.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (ascii.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (ascii.startsWith('GIF87a') || ascii.startsWith('GIF89a')) return 'gif';
  return ascii.startsWith('RIFF') && ascii.startsWith('WEBP', 8) ? 'webp' : undefined;
}

/** Opens a PNG, JPEG, WebP or GIF file. */
export async function openImage(bytes: Buffer, limits: ImageLimits): Promise<OpenedFile> {
  const format = formatOf(bytes);
  if (format === undefined) {
    throw new MeshError('UNSUPPORTED_MEDIA', 'the item is not a PNG, JPEG, WebP or GIF image');
  }
  if (format === 'webp' || format === 'gif') refuseManyFrames(bytes, format);
  if (format === 'png') refuseManyChunks(bytes);
  if (format === 'jpeg') refuseManyScans(bytes);
  const size = await readImageSize(bytes, limits);
  return {
    facts: { kind: 'image', width: size.width, height: size.height },
    durationMs: 0,
    load: () => loadPixels(format === 'gif' ? opaqueGif(bytes) : bytes, size),
    close: () => {},
  };
}
