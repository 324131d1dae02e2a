const HEADER_BYTES = 10;
const FOOTER_FLAG = 0x10;

/**
 * Returns the length in bytes of the ID3v2 tag that a file starts with, 0 if it has none: "ID3",
 * version (2 bytes), flags, then the size of the rest as four digits of 7 bits. Taggers put it
 * before any format.
 */
export function id3TagBytes(bytes: Buffer): number {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, 3) !== 'ID3') return 0;
  const size = bytes
    .subarray(6, HEADER_BYTES)
    .reduce((sum, digit) => sum * 128 + (digit & 0x7f), 0);
  const hasFooter = (bytes.readUInt8(5) & FOOTER_FLAG) !== 0;
  return HEADER_BYTES + size + (hasFooter ? HEADER_BYTES : 0);
}
