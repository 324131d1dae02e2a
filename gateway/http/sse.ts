import { MeshError } from '#mesh/errors.ts';

/** A comment line, which clients ignore; proxies see from it that the connection lives. */
const HEARTBEAT = ': keep-alive\n\n';

export interface SseOptions {
  /** Milliseconds of silence after which a stream gets a heartbeat. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a reader that takes nothing is cut off. */
  readonly stallMs: number;
}

/** A stream's timing, and the signal that ends its waits. */
export interface SseCall extends SseOptions {
  /** Aborted when the answer ends early, also while its reader takes nothing. */
  readonly signal: AbortSignal;
  /** Frame that is sent in a silence; undefined: a comment. */
  readonly heartbeat?: string | undefined;
}

/** Where frames go; it emits what a `Writable` does. */
export interface SseOutput {
  readonly destroyed: boolean;
  /** Returns false if the reader is behind; "drain" tells when it has caught up. */
  write(frames: string): boolean;
  end(frames: string): void;
  destroy(): void;
  on(event: 'drain' | 'close' | 'error', listener: () => void): this;
  off(event: 'drain' | 'close' | 'error', listener: () => void): this;
}

/**
 * A server-sent event stream. It opens (sends its status and headers) with its first write or its
 * first heartbeat, so that a failure before both can still have a status of its own.
 */
export class SseStream {
  readonly #open: () => SseOutput;
  readonly #options: SseCall;
  readonly #heartbeat: NodeJS.Timeout;
  #output: SseOutput | undefined;
  #drained: Promise<void> | undefined;
  #isSilent = true;

  constructor(open: () => SseOutput, options: SseCall) {
    this.#open = open;
    this.#options = options;
    this.#heartbeat = setInterval(() => this.#beat(), options.heartbeatMs);
  }

  get isOpen(): boolean {
    return this.#output !== undefined;
  }

  /** Writes frames; a returned promise means that the writer must wait for the reader. */
  write(frames: string): Promise<void> | undefined {
    this.#isSilent = false;
    const output = this.#openOnce();
    // Writing to a closed output would raise an error event that has no listener.
    if (output.destroyed) return Promise.reject(clientGone());
    if (!output.write(frames)) this.#drained ??= this.#drain(output);
    return this.#drained;
  }

  /** Writes the last frames of an open stream. */
  end(frames: string): void {
    this.close();
    if (this.#output?.destroyed === false) this.#output.end(frames);
  }

  /** Stops the heartbeat; called however the stream ends. */
  close(): void {
    clearInterval(this.#heartbeat);
  }

  #openOnce(): SseOutput {
    if (this.#output === undefined) {
      this.#output = this.#open();
      // A failed write closes the output, and the closing ends the stream.
      this.#output.on('error', () => {});
    }
    return this.#output;
  }

  #beat(): void {
    if (this.#isSilent && this.#drained === undefined) {
      this.write(this.#options.heartbeat ?? HEARTBEAT)?.catch(() => {});
    }
    this.#isSilent = true;
  }

  /** Resolves when the reader has caught up; rejects when it has gone or is cut off. */
  #drain(output: SseOutput): Promise<void> {
    const { stallMs, signal } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (failure?: unknown) => {
        clearTimeout(stall);
        output.off('drain', onDrain).off('close', onClose);
        signal.removeEventListener('abort', onAbort);
        this.#drained = undefined;
        if (failure === undefined) resolve();
        else reject(failure);
      };
      const onAbort = () => settle(signal.reason);
      const onDrain = () => settle();
      const onClose = () => settle(clientGone());
      const stall = setTimeout(() => {
        settle(new MeshError('CANCELLED', 'the client does not read its stream'));
        output.destroy();
      }, stallMs);
      output.on('drain', onDrain).on('close', onClose);
      signal.addEventListener('abort', onAbort, { once: true });
      if (output.destroyed) onClose();
      else if (signal.aborted) onAbort();
    });
  }
}

function clientGone(): MeshError {
  return new MeshError('CANCELLED', 'the client has gone');
}
