/** Returns the bytes of a key. */
export function keyBytes(key: string): Buffer {
  return Buffer.from(key);
}

/** Returns the key after the last one that begins with a prefix, which is not empty. */
export function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  // UTF-8 has no byte 0xff, so the last byte can be raised.
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}
