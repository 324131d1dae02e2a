import { setImmediate } from 'node:timers/promises';

/**
 * Largest length in relation to the text without white space: MIME's line breaks add two characters
 * to 76.
 */
const WHITESPACE_ALLOWANCE = 1.05;

/** Characters that are decoded before the event loop turns, which takes about a millisecond. */
const TURN_CHARS = 128 * 1024;

/** White space of ASCII: a space, or tab to carriage return. */
const BLANK = /[\t-\r ]/;

/** Characters that Latin-1 cannot hold, and base64 does not know. */
const NOT_LATIN1 = /[\u0100-\uffff]/;

/** Returns the most characters that base64 of so many bytes may have. */
export function maxBase64Chars(numBytes: number): number {
  return Math.floor((numBytes * WHITESPACE_ALLOWANCE + 4) / 0.75);
}

export type Decoded =
  | { readonly outcome: 'decoded'; readonly bytes: Buffer }
  | { readonly outcome: 'too-large' }
  | { readonly outcome: 'malformed' };

/**
 * Decodes base64 of either alphabet; white space between characters is allowed. A text that must
 * decode to more than `maxBytes` is refused before memory is allocated for it. The event loop turns
 * while a large text is decoded.
 */
export async function decodeBase64(text: string, maxBytes: number): Promise<Decoded> {
  if (text.length > maxBase64Chars(maxBytes)) return { outcome: 'too-large' };
  const bytes = Buffer.allocUnsafe(Math.ceil(text.length * 0.75) + 4);
  let numBytes = 0;
  /** The last characters so far, which may be the end with its padding. */
  let rest = '';
  for (let at = 0; at < text.length; at += TURN_CHARS) {
    if (at > 0) await setImmediate();
    const piece = text.slice(at, at + TURN_CHARS);
    if (NOT_LATIN1.test(piece)) return { outcome: 'malformed' };
    const digits = rest + withoutBlanks(piece);
    const numWhole = Math.max(0, Math.floor((digits.length - 1) / 4) * 4);
    const written = bytes.write(digits.slice(0, numWhole), numBytes, 'base64');
    if (written !== promisedBytes({ length: numWhole, numPadding: 0 })) {
      return { outcome: 'malformed' };
    }
    numBytes += written;
    rest = digits.slice(numWhole);
  }
  const written = bytes.write(rest, numBytes, 'base64');
  if (written !== promisedBytes({ length: rest.length, numPadding: paddingOf(rest) })) {
    return { outcome: 'malformed' };
  }
  numBytes += written;
  if (numBytes > maxBytes) return { outcome: 'too-large' };
  return { outcome: 'decoded', bytes: bytes.subarray(0, numBytes) };
}

/** Returns a text of Latin-1 without its white space. A search and replace would take ten times as long. */
function withoutBlanks(text: string): string {
  if (!BLANK.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  let length = 0;
  for (const byte of bytes) {
    const isBlank = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
    if (isBlank) continue;
    bytes[length] = byte;
    length += 1;
  }
  return bytes.toString('latin1', 0, length);
}

interface Digits {
  /** Characters, padding included. */
  readonly length: number;
  readonly numPadding: number;
}

/**
 * Returns the number of bytes that so many characters decode to; null if no text has that length.
 * Node skips characters that are not base64 and stops at padding, so all characters were base64 if
 * and only if it gives this number.
 */
function promisedBytes({ length, numPadding }: Digits): number | null {
  if (numPadding > 0 && length % 4 !== 0) return null;
  const numDigits = length - numPadding;
  return numDigits % 4 === 1 ? null : Math.floor((numDigits * 3) / 4);
}

/** Counts the padding at the end, up to three, which is always wrong. */
function paddingOf(text: string): number {
  return /={0,3}$/.exec(text)?.[0].length ?? 0;
}
