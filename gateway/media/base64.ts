/** Line breaks of MIME add two characters to 76; more white space than this is not base64 any more. */
const WHITESPACE_ALLOWANCE = 1.05;

export type Decoded =
  | { readonly outcome: 'decoded'; readonly bytes: Buffer }
  | { readonly outcome: 'too-large' }
  | { readonly outcome: 'malformed' };

/**
 * Decodes base64 of either alphabet, white space between characters tolerated. A text that must
 * decode to more than `maxBytes` is refused before anything is allocated for it.
 */
export function decodeBase64(text: string, maxBytes: number): Decoded {
  if (text.length * 0.75 > maxBytes * WHITESPACE_ALLOWANCE + 4) return { outcome: 'too-large' };
  const bytes = decodeExactly(text) ?? decodeExactly(text.replaceAll(/\s+/g, ''));
  if (bytes === undefined) return { outcome: 'malformed' };
  if (bytes.length > maxBytes) return { outcome: 'too-large' };
  return { outcome: 'decoded', bytes };
}

/**
 * Node skips what is not base64 and stops at padding, so that every character counted exactly when
 * the number of bytes is the one the length promises: a check without a second pass over the text.
 */
function decodeExactly(text: string): Buffer | undefined {
  const numPadding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (numPadding > 0 && text.length % 4 !== 0) return undefined;
  const numDigits = text.length - numPadding;
  if (numDigits % 4 === 1) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === Math.floor((numDigits * 3) / 4) ? bytes : undefined;
}
