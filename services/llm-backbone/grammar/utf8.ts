import type { CharRange } from './grammar-node.ts';

/** A range of values for each byte of a character. */
export type ByteRanges = readonly (readonly [first: number, last: number])[];

/** Last code points of the characters with one, two and three bytes, and of all. */
const LENGTH_ENDS = [0x7f, 0x7ff, 0xffff, 0x10ffff];
const SURROGATES: CharRange = [0xd800, 0xdfff];

/** Returns the UTF-8 bytes of a range of code points, surrogates left out. */
export function utf8Ranges([first, last]: CharRange): ByteRanges[] {
  if (first > last) return [];
  if (first <= SURROGATES[1] && last >= SURROGATES[0]) {
    return [
      ...utf8Ranges([first, Math.min(last, SURROGATES[0] - 1)]),
      ...utf8Ranges([Math.max(first, SURROGATES[1] + 1), last]),
    ];
  }
  for (const end of LENGTH_ENDS) {
    if (first <= end && last > end)
      return [...utf8Ranges([first, end]), ...utf8Ranges([end + 1, last])];
  }
  return aligned(first, last);
}

/** Splits a range of characters of equal length where their last bytes are not all of 0x80 to 0xbf. */
function aligned(first: number, last: number): ByteRanges[] {
  for (let bits = 6; bits <= 18; bits += 6) {
    const mask = (1 << bits) - 1;
    if (first >> bits === last >> bits) break;
    if ((first & mask) !== 0) {
      return [...aligned(first, first | mask), ...aligned((first | mask) + 1, last)];
    }
    if ((last & mask) !== mask) {
      return [...aligned(first, (last & ~mask) - 1), ...aligned(last & ~mask, last)];
    }
  }
  const [from, to] = [bytesOf(first), bytesOf(last)];
  return [from.map((byte, i) => [byte, to[i] ?? byte] as const)];
}

function bytesOf(char: number): number[] {
  return [...Buffer.from(String.fromCodePoint(char), 'utf8')];
}
