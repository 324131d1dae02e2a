import type { IncomingMessage } from 'node:http';
import { MeshError } from '#mesh/errors.ts';
import type { BodyMemory } from './body-memory.ts';

/** Small pieces are passed on together when there are this many of them, or `BLOCK_BYTES` bytes. */
const MAX_PIECES = 256;
const BLOCK_BYTES = 64 * 1024;

export interface ReceiveLimits {
  /** Most bytes of one body. */
  readonly maxBytes: number;
  /** Counts the bytes of all bodies. */
  readonly memory: BodyMemory;
}

export interface BodyReceiver {
  readonly limits: ReceiveLimits;
  /** Takes the next bytes; an error it throws ends the reception. */
  take(block: Buffer): void;
}

/**
 * Receives a body and keeps none of it. A client may cut its body into chunks of one byte, each of
 * which arrives as an object of a hundred bytes, so small pieces are joined before they are passed
 * on.
 */
export function receiveBody(raw: IncomingMessage, receiver: BodyReceiver): Promise<void> {
  const { maxBytes, memory } = receiver.limits;
  return new Promise((resolve, reject) => {
    let numReceived = 0;
    let numWaiting = 0;
    let pieces: Buffer[] = [];
    const onData = (piece: Buffer) => {
      numReceived += piece.length;
      numWaiting += piece.length;
      pieces.push(piece);
      if (numReceived > maxBytes) stop(tooLarge());
      else if (numWaiting >= BLOCK_BYTES || pieces.length >= MAX_PIECES) handOn();
    };
    const handOn = () => {
      const [first] = pieces;
      if (first === undefined) return;
      const block = pieces.length === 1 ? first : Buffer.concat(pieces, numWaiting);
      numWaiting = 0;
      pieces = [];
      try {
        memory.take(raw, block.length);
        receiver.take(block);
      } catch (error: unknown) {
        stop(error);
      }
    };
    const onEnd = () => {
      handOn();
      stop(undefined);
    };
    const onLoss = (cause?: Error) => stop(lost(cause));
    const stop = (error: unknown) => {
      raw.off('data', onData).off('end', onEnd).off('error', onLoss).off('close', onLoss);
      if (error === undefined) resolve();
      else reject(error);
    };
    if (raw.destroyed) stop(lost());
    else if (Number(raw.headers['content-length']) > maxBytes) stop(tooLarge());
    else raw.on('data', onData).on('end', onEnd).on('error', onLoss).on('close', onLoss);
  });
}

function tooLarge(): MeshError {
  const message = 'the body is larger than the limit of this server (key "max-body-mb")';
  return new MeshError('PAYLOAD_TOO_LARGE', message);
}

function lost(cause?: Error): MeshError {
  return new MeshError('CANCELLED', 'the client left before its body was whole', { cause });
}
