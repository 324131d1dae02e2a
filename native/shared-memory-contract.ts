// Types of memory that processes share.

/**
 * Memory of this process that other processes of this user can map. It never changes, and it is
 * freed with the array that was returned beside it: keep that array while somebody may map it.
 */
export interface SharedSegment {
  /** Number of the descriptor in this process. */
  readonly descriptor: number;
  /** 16 bytes that tell the segment from others which had its descriptor. */
  readonly token: Buffer;
}

/** Where a segment of another process is. */
export interface SharedPlace {
  readonly processId: number;
  readonly descriptor: number;
  readonly numBytes: number;
  readonly token: Uint8Array;
}
