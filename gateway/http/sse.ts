import type { Writable } from 'node:stream';
import { MeshError } from '#mesh/errors.ts';

/** Clients ignore comment lines; proxies see that the connection lives. */
const HEARTBEAT = ': keep-alive\n\n';

export interface SseOptions {
  /** A stream silent for this long gets a comment line, milliseconds. */
  readonly heartbeatMs: number;
  /** A reader that takes nothing for this long is cut off, milliseconds. */
  readonly stallMs: number;
}

/**
 * A server-sent event stream. It opens (sends its status and headers) with its first write or its
 * first heartbeat, so that a failure before either still has a status of its own.
 */
export class SseStream {
  readonly #open: () => Writable;
  readonly #options: SseOptions;
  readonly #heartbeat: NodeJS.Timeout;
  #output: Writable | undefined;
  #drained: Promise<void> | undefined;
  #isSilent = true;

  constructor(open: () => Writable, options: SseOptions) {
    this.#open = open;
    this.#options = options;
    this.#heartbeat = setInterval(() => this.#beat(), options.heartbeatMs);
  }

  get isOpen(): boolean {
    return this.#output !== undefined;
  }

  /** Writes frames; a returned promise means "wait, the reader is behind". */
  write(frames: string): Promise<void> | undefined {
    this.#isSilent = false;
    const output = this.#openOnce();
    // Writing to a closed output would raise an error event that nobody awaits.
    if (output.destroyed) return Promise.reject(clientGone());
    if (!output.write(frames)) this.#drained ??= this.#drain(output);
    return this.#drained;
  }

  /** Writes the last frames of an open stream. */
  end(frames: string): void {
    this.close();
    if (this.#output?.destroyed === false) this.#output.end(frames);
  }

  /** Stops the heartbeat; to be called however the stream goes. */
  close(): void {
    clearInterval(this.#heartbeat);
  }

  #openOnce(): Writable {
    if (this.#output === undefined) {
      this.#output = this.#open();
      // A failed write closes the output, and closing is what ends the stream.
      this.#output.on('error', () => {});
    }
    return this.#output;
  }

  #beat(): void {
    if (this.#isSilent && this.#drained === undefined) this.write(HEARTBEAT)?.catch(() => {});
    this.#isSilent = true;
  }

  /** Resolves when the reader has caught up; rejects when it has gone or is cut off. */
  #drain(output: Writable): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (failure?: MeshError) => {
        clearTimeout(stall);
        output.off('drain', onDrain).off('close', onClose);
        this.#drained = undefined;
        if (failure === undefined) resolve();
        else reject(failure);
      };
      const onDrain = () => settle();
      const onClose = () => settle(clientGone());
      const stall = setTimeout(() => {
        settle(new MeshError('CANCELLED', 'the client does not read its stream'));
        output.destroy();
      }, this.#options.stallMs);
      output.on('drain', onDrain).on('close', onClose);
      if (output.destroyed) onClose();
    });
  }
}

function clientGone(): MeshError {
  return new MeshError('CANCELLED', 'the client has gone');
}
