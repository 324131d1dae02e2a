/** The rows of a 1080×2400 screenshot in AutoGLM-Phone-9B: 3,354 of width 4,096, 55 MB. */
export const NUM_ROWS = 3354;
export const HIDDEN_SIZE = 4096;
export const ITEM_BYTES = NUM_ROWS * HIDDEN_SIZE * Float32Array.BYTES_PER_ELEMENT;

/** Media type of an item whose rows the sender puts into shared memory before it offers them. */
export const PLACED = 'application/x-placed';

/** Ports that the sending process tells the receiving one when it listens. */
export interface SenderPorts {
  readonly grpc: number;
  readonly tcp: number;
}
