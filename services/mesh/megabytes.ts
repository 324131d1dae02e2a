const BYTES_PER_MB = 1_000_000;

/** Whole bytes of a number of megabytes, as keys and messages count them: 10^6 bytes each. */
export function bytesOfMb(megabytes: number): number {
  return Math.round(megabytes * BYTES_PER_MB);
}

/** Megabytes of a number of bytes, for messages. */
export function mbOf(numBytes: number): number {
  return numBytes / BYTES_PER_MB;
}
