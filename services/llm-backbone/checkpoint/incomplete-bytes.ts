/** Counts the bytes at the end that may be the start of a UTF-8 character. */
export function numIncompleteBytes(bytes: Uint8Array): number {
  for (let numBytes = 1; numBytes <= Math.min(3, bytes.length); numBytes++) {
    const byte = bytes[bytes.length - numBytes] ?? 0;
    const isContinuation = (byte & 0xc0) === 0x80;
    if (!isContinuation) return numBytes < characterBytes(byte) ? numBytes : 0;
  }
  return 0;
}

/** Returns the length of the character that starts with a lead byte. */
function characterBytes(lead: number): number {
  if (lead >= 0xf0) return lead <= 0xf4 ? 4 : 1;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc2 ? 2 : 1;
}
