import { setImmediate } from 'node:timers/promises';

/** Characters that are decoded before the event loop turns, which takes a few milliseconds. */
const TURN_CHARS = 128 * 1024;

/** An escape, or a character of two units, that the end of a piece has cut. */
const CUT_END = /%[0-9a-f]?$|[\ud800-\udbff]$/i;

const PERCENT = 0x25;

/**
 * Returns the bytes that a percent-encoded text stands for (RFC 3986 §2.1); characters beyond ASCII
 * are UTF-8, and what is no escape stands for itself. Returns undefined for more than `maxBytes`.
 * The event loop turns while a large text is decoded.
 */
export async function decodePercent(text: string, maxBytes: number): Promise<Buffer | undefined> {
  if (text.length > maxBytes * 3) return undefined;
  const pieces: Buffer[] = [];
  let numBytes = 0;
  let cutEnd = '';
  for (let at = 0; at < text.length; at += TURN_CHARS) {
    if (at > 0) await setImmediate();
    const isLast = at + TURN_CHARS >= text.length;
    const raw = cutEnd + text.slice(at, at + TURN_CHARS);
    cutEnd = isLast ? '' : (CUT_END.exec(raw)?.[0] ?? '');
    const piece = unescaped(Buffer.from(raw.slice(0, raw.length - cutEnd.length)));
    numBytes += piece.length;
    if (numBytes > maxBytes) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces, numBytes);
}

/** Decodes the escapes of a piece in place. */
function unescaped(bytes: Buffer): Buffer {
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    const high = byte === PERCENT ? hexDigit(bytes[at + 1]) : -1;
    const low = high === -1 ? -1 : hexDigit(bytes[at + 2]);
    bytes[length] = low === -1 ? byte : high * 16 + low;
    if (low !== -1) at += 2;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** Returns the value of a hexadecimal digit in ASCII; -1 for anything else. */
function hexDigit(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
