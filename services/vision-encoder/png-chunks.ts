import { MeshError } from '#mesh/errors.ts';

/**
 * Most chunks of a PNG file besides those of its pixels. The decoder tells the event loop of each it
 * cannot use, twice: 1.6 million of them, 20 MB, would hold it for seconds.
 */
const MAX_CHUNKS = 4096;

const SIGNATURE_BYTES = 8;
/** Bytes of a chunk besides its data: length, type and checksum. */
const FRAMING_BYTES = 12;
const TYPE_OFFSET = 4;
const IDAT = 0x49444154;
const IEND = 0x49454e44;

/** Refuses a PNG file with more than MAX_CHUNKS chunks. */
export function refuseManyChunks(bytes: Buffer): void {
  let numChunks = 0;
  for (let at = SIGNATURE_BYTES; at + FRAMING_BYTES <= bytes.length; ) {
    const type = bytes.readUInt32BE(at + TYPE_OFFSET);
    if (type === IEND) return;
    if (type !== IDAT) numChunks += 1;
    if (numChunks > MAX_CHUNKS) {
      const message = `the PNG file has more than ${MAX_CHUNKS} chunks besides its pixels, the most that are allowed`;
      throw new MeshError('PAYLOAD_TOO_LARGE', message);
    }
    at += FRAMING_BYTES + bytes.readUInt32BE(at);
  }
}
