import { MeshError } from '#mesh/errors.ts';

/**
 * Most frames of an animation, of which the first is read. The decoder of WebP finds each frame by
 * counting from the first, so that 48,000 of them, 3 MB, take 7 s; that of GIF lists them all.
 */
const MAX_FRAMES = 4096;

/** Refuses a file with more than MAX_FRAMES frames. */
export function refuseManyFrames(bytes: Buffer, format: 'webp' | 'gif'): void {
  const frames = format === 'webp' ? webpFrames(bytes) : gifFrames(bytes);
  let numFrames = 0;
  while (frames.next().done !== true) {
    numFrames += 1;
    if (numFrames <= MAX_FRAMES) continue;
    const message = `the image is an animation of more than ${MAX_FRAMES} frames, the most that are allowed`;
    throw new MeshError('PAYLOAD_TOO_LARGE', message);
  }
}

/** The id of a RIFF chunk that holds one frame. */
const WEBP_FRAME = Buffer.from('ANMF');

/** Yields the offset of each frame's id, at every place where a decoder would look for one. */
function* webpFrames(bytes: Buffer): Generator<number> {
  for (let at = bytes.indexOf(WEBP_FRAME); at !== -1; at = bytes.indexOf(WEBP_FRAME, at + 1)) {
    yield at;
  }
}

const GIF_HEADER_BYTES = 13;
const GIF_EXTENSION = 0x21;
/** Label of the extension that says how the next frame is drawn, and the flag of it for a colour that is not. */
const GIF_GRAPHIC_CONTROL = 0xf9;
const GIF_TRANSPARENT = 0x01;
const GIF_FRAME = 0x2c;

/** Yields the offset of each frame; ends at the trailer, or at a byte that starts no block. */
function* gifFrames(bytes: Buffer): Generator<number> {
  let at = GIF_HEADER_BYTES + colourTableBytes(bytes[10] ?? 0);
  for (;;) {
    const block = bytes[at];
    if (block === GIF_EXTENSION) at = subBlocksEnd(bytes, at + 2);
    else if (block === GIF_FRAME) {
      yield at;
      // Place, size and flags, a table of colours, the width of codes, then the codes.
      at = subBlocksEnd(bytes, at + 11 + colourTableBytes(bytes[at + 9] ?? 0));
    } else return;
  }
}

/**
 * Returns a GIF file whose first frame has no transparent colour, so that the decoder gives each
 * pixel the colour that the palette has for it, as Pillow does, and not black.
 */
export function opaqueGif(bytes: Buffer): Buffer {
  let at = GIF_HEADER_BYTES + colourTableBytes(bytes[10] ?? 0);
  const opaque = Buffer.from(bytes);
  while (bytes[at] === GIF_EXTENSION) {
    const flagsAt = at + 3;
    const isControl = bytes[at + 1] === GIF_GRAPHIC_CONTROL && flagsAt < bytes.length;
    if (isControl) opaque[flagsAt] = (bytes[flagsAt] ?? 0) & ~GIF_TRANSPARENT;
    at = subBlocksEnd(bytes, at + 2);
  }
  return opaque;
}

function colourTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 0x07) + 1);
}

/** Skips sub-blocks (a length and as many bytes) up to the empty one that ends them. */
function subBlocksEnd(bytes: Buffer, start: number): number {
  let at = start;
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) at += length + 1;
  return at + 1;
}
