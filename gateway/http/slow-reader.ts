import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';

/**
 * Cuts off a client that takes nothing of an answer for `stallMs`; called when nothing more is
 * written. The timer starts again with every byte that leaves, and Node ends it with the answer.
 */
export function cutOffSlowReader({ socket }: ServerResponse, stallMs: number): void {
  if (socket instanceof Socket) socket.setTimeout(stallMs);
}
