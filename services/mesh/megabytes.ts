const BYTES_PER_MB = 1_000_000;

/** Whole bytes of a number of megabytes, as keys and messages count them: 10^6 bytes each. */
export function bytesOfMb(megabytes: number): number {
  return Math.round(megabytes * BYTES_PER_MB);
}

/** Megabytes of a number of bytes, for messages. */
export function mbOf(numBytes: number): number {
  return numBytes / BYTES_PER_MB;
}

/** Writes bytes as `1.25 GiB`. */
export function gib(bytes: number): string {
  const amount = bytes / 1024 ** 3;
  return `${amount.toFixed(amount < 10 ? 2 : 1)} GiB`;
}
