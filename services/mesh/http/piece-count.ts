/** Most pieces of any size; as many as a prompt of 8,000 token ids that is written id by id. */
const MAX_PIECES = 8192;
/** Fewest bytes that each piece more must have brought, on average. */
const MIN_MEAN_BYTES = 16;

/**
 * Counts the pieces in which bytes come. A sender may cut them into chunks of one byte, each of which
 * costs the event loop as much as one of 64 kB, and there are eleven thousand in what is read at once.
 */
export class PieceCount {
  #numPieces = 0;
  #numBytes = 0;

  /** Returns false once the pieces are too small. */
  take(piece: Uint8Array): boolean {
    this.#numPieces += 1;
    this.#numBytes += piece.length;
    return this.#numPieces <= MAX_PIECES + this.#numBytes / MIN_MEAN_BYTES;
  }
}
