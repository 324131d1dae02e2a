import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { SseOutput } from './sse.ts';

/**
 * The body of a response whose status has been given. Every frame is sent as one chunk, written in
 * one piece: Node's own writes a chunk in four pieces, a turn later, which costs a streamed token a
 * tenth of what the gateway spends on it.
 */
export class ChunkedOutput implements SseOutput {
  readonly #response: ServerResponse;
  #hasBegun = false;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get destroyed(): boolean {
    return this.#response.destroyed;
  }

  write(frames: string): boolean {
    const { socket, chunkedEncoding } = this.#response;
    // Node sends the head with what it writes first, and keeps the answers to pipelined requests,
    // which have no socket yet; HTTP/1.0 has no chunks.
    if (!this.#hasBegun || !chunkedEncoding || !(socket instanceof Socket)) {
      this.#hasBegun = true;
      return this.#response.write(frames);
    }
    return socket.write(`${Buffer.byteLength(frames).toString(16)}\r\n${frames}\r\n`);
  }

  end(frames: string): void {
    this.#response.end(frames);
  }

  destroy(): void {
    this.#response.destroy();
  }

  on(event: 'drain' | 'close' | 'error', listener: () => void): this {
    this.#response.on(event, listener);
    // The response knows only of what was written through it.
    if (event === 'drain') this.#response.socket?.on(event, listener);
    return this;
  }

  off(event: 'drain' | 'close' | 'error', listener: () => void): this {
    this.#response.off(event, listener);
    if (event === 'drain') this.#response.socket?.off(event, listener);
    return this;
  }
}
