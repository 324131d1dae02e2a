import { MeshError } from '#mesh/errors.ts';

/**
 * Most scans of a JPEG file. Each visits every block of a component however few bytes it has. What
 * encoders write has about ten, and no script that refines every bit needs a hundred.
 */
const MAX_SCANS = 100;

/**
 * Most segments of a JPEG file besides its scans: the decoder keeps each of the application's. A
 * colour profile has up to 255, a long description 500.
 */
const MAX_SEGMENTS = 2048;

const MARKER = 0xff;
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;

/** Refuses a JPEG file with more than MAX_SCANS scans or MAX_SEGMENTS other segments. */
export function refuseManyScans(bytes: Buffer): void {
  let numScans = 0;
  let numSegments = 0;
  for (const code of segments(bytes)) {
    if (code === SOS) numScans += 1;
    else numSegments += 1;
    if (numScans > MAX_SCANS) throw refusal(`${MAX_SCANS} scans`);
    if (numSegments > MAX_SEGMENTS) throw refusal(`${MAX_SEGMENTS} segments besides its scans`);
  }
}

/** Yields the code of each segment that a decoder reads, up to the end of the image. */
function* segments(bytes: Buffer): Generator<number> {
  let at = bytes.indexOf(MARKER);
  while (at !== -1 && at + 1 < bytes.length) {
    const code = bytes[at + 1] ?? 0;
    if (code === EOI) return;
    if (code === MARKER) at += 1;
    else if (isAlone(code)) at = bytes.indexOf(MARKER, at + 2);
    else {
      yield code;
      const length = at + 4 <= bytes.length ? bytes.readUInt16BE(at + 2) : bytes.length;
      // Behind a scan's head lies what it codes, in which a marker's first byte is followed by 0.
      at = bytes.indexOf(MARKER, at + 2 + length);
    }
  }
}

/** A byte of data, a restart, the start of an image and TEM have no length. */
function isAlone(code: number): boolean {
  return code <= 0x01 || (code >= 0xd0 && code <= SOI);
}

function refusal(limit: string): MeshError {
  const message = `the JPEG file has more than ${limit}, the most that are allowed`;
  return new MeshError('PAYLOAD_TOO_LARGE', message);
}
