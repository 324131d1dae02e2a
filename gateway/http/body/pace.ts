import type { IncomingMessage } from 'node:http';
import type { Clock } from '#mesh/async/clock.ts';
import { PieceCount } from '#mesh/http/piece-count.ts';

/** Slowest sending that is waited for; half the speed of a telephone line's modem. */
const MIN_BYTES_PER_S = 2000;

export interface PaceLimit {
  /** Milliseconds over which the pace is measured; a silence as long ends the body too. */
  readonly windowMs: number;
  readonly clock: Clock;
}

export interface PaceEvents {
  /** The body comes too slowly. */
  readonly onSlow: () => void;
  /** The body comes in too many pieces that are too small. */
  readonly onCrumbs: () => void;
}

/**
 * Calls one of the events once when a body comes too slowly, so that a client cannot hold memory with
 * bodies that it never completes, or in crumbs. Returns a function that ends the watch.
 */
export function watchPace(
  raw: IncomingMessage,
  { windowMs, clock }: PaceLimit,
  { onSlow, onCrumbs }: PaceEvents,
): () => void {
  const pieces = new PieceCount();
  let numReceived = 0;
  const count = (piece: Buffer) => {
    numReceived += piece.length;
    if (pieces.take(piece)) return;
    stop();
    onCrumbs();
  };
  let callOff = () => {};
  const look = () => {
    if (numReceived * 1000 < MIN_BYTES_PER_S * windowMs) {
      stop();
      onSlow();
      return;
    }
    numReceived = 0;
    callOff = clock.after(windowMs, look);
  };
  const stop = () => {
    callOff();
    raw.off('data', count);
  };
  raw.on('data', count);
  callOff = clock.after(windowMs, look);
  return stop;
}
