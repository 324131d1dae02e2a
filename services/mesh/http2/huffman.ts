/** Tells that a header block cannot be read: the connection's state is lost with it. */
export class HeaderError extends Error {}

/** The most bits that may follow the last symbol of a string. */
const MAX_PADDING_BITS = 7;

/** Bits of the code of each byte (RFC 7541, appendix B). */
const CODE_LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/**
 * The code as a tree, two entries for each inner node, one for each bit: the node that follows, or
 * `-1 - byte` where the code of a byte ends; 0: no code begins so.
 */
const TREE = treeOf(CODE_LENGTHS);

/** Codes of one length follow each other in the order of their bytes, behind the shorter ones. */
function treeOf(lengths: readonly number[]): Int16Array {
  const order = lengths
    .map((length, byte) => ({ length, byte }))
    .sort((a, b) => a.length - b.length || a.byte - b.byte);
  const tree = [0, 0];
  let code = 0;
  let lastLength = 0;
  for (const { length, byte } of order) {
    code *= 2 ** (length - lastLength);
    lastLength = length;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const at = node + ((code >>> bit) & 1);
      if (bit === 0) {
        tree[at] = -1 - byte;
      } else if (tree[at] === 0) {
        node = tree.push(0, 0) - 2;
        tree[at] = node;
      } else {
        node = tree[at] ?? 0;
      }
    }
    code += 1;
  }
  return Int16Array.from(tree);
}

/** Decodes a string of HPACK's Huffman code; throws HeaderError if it is none. */
export function decodeHuffman(bytes: Uint8Array): string {
  let text = '';
  let node = 0;
  let numBits = 0;
  let isPadding = true;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const isOne = (byte >>> bit) & 1;
      const next = TREE[node + isOne] ?? 0;
      if (next < 0) {
        text += String.fromCharCode(-1 - next);
        node = 0;
        numBits = 0;
        isPadding = true;
        continue;
      }
      if (next === 0) throw new HeaderError('a string has a code that stands for nothing');
      node = next;
      numBits += 1;
      isPadding &&= isOne === 1;
    }
  }
  if (numBits > MAX_PADDING_BITS || !isPadding) {
    throw new HeaderError('a string ends within a code');
  }
  return text;
}
