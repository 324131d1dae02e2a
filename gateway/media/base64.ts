/**
 * Largest length in relation to the text without white space: MIME's line breaks add two characters
 * to 76.
 */
const WHITESPACE_ALLOWANCE = 1.05;

export type Decoded =
  | { readonly outcome: 'decoded'; readonly bytes: Buffer }
  | { readonly outcome: 'too-large' }
  | { readonly outcome: 'malformed' };

/**
 * Decodes base64 of either alphabet; white space between characters is allowed. A text that must
 * decode to more than `maxBytes` is refused before memory is allocated for it.
 */
export function decodeBase64(text: string, maxBytes: number): Decoded {
  if (text.length * 0.75 > maxBytes * WHITESPACE_ALLOWANCE + 4) return { outcome: 'too-large' };
  const bytes = decodeExactly(text);
  if (bytes === undefined) return { outcome: 'malformed' };
  if (bytes.length > maxBytes) return { outcome: 'too-large' };
  return { outcome: 'decoded', bytes };
}

/**
 * Decodes a text, undefined if it is not base64. Node skips characters that are not base64 and
 * stops at padding, so all characters were base64 if and only if the number of bytes is the one
 * that the length promises. This check needs no copy of the text, which would be slow to make if
 * white space stood between all its characters.
 */
function decodeExactly(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  const numPadding = paddingOf(text);
  const isWhole = (length: number) => bytes.length === promisedBytes(length, numPadding);
  return isWhole(text.length) || isWhole(text.length - countBlanks(text)) ? bytes : undefined;
}

/**
 * Returns the number of bytes that so many characters decode to; null if no text has that length.
 */
function promisedBytes(length: number, numPadding: number): number | null {
  if (numPadding > 0 && length % 4 !== 0) return null;
  const numDigits = length - numPadding;
  return numDigits % 4 === 1 ? null : Math.floor((numDigits * 3) / 4);
}

/** Counts the padding at the end, up to three, which is always wrong. */
function paddingOf(text: string): number {
  let numPadding = 0;
  for (let at = text.length - 1; at >= 0 && numPadding < 3; at--) {
    if (text[at] === '=') numPadding += 1;
    else if (!isBlank(text.charCodeAt(at))) break;
  }
  return numPadding;
}

function countBlanks(text: string): number {
  let numBlanks = 0;
  for (let at = 0; at < text.length; at++) numBlanks += isBlank(text.charCodeAt(at)) ? 1 : 0;
  return numBlanks;
}

/** Tells whether a character is ASCII white space: a space, or tab to carriage return. */
function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}
