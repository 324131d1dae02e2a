import { ClientError, Metadata, Status } from 'nice-grpc-common';
import type { ClientStream, StreamListener } from '#mesh/http2/client-stream.ts';
import { ErrorCode } from '#mesh/http2/frame.ts';
import type { Headers } from '#mesh/http2/header-block.ts';
import { DETAILS_TRAILER, meshErrorFromStatus } from './error-status.ts';
import { MessageReader } from './message-reader.ts';

/** HTTP statuses of what stands before a service and cannot reach it. */
const AWAY_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export interface ReceiveOptions {
  readonly path: string;
  /** Cancels the call. */
  readonly signal: AbortSignal;
  readonly maxMessageBytes: number;
  /**
   * Takes a message; a returned promise holds the next ones back, first here and then in the service.
   */
  readonly take: (message: Buffer) => Promise<void> | undefined;
}

/**
 * Receives the messages of a call; resolves when it has ended well. Rejects with the MeshError that
 * the service threw, or with what `take` failed with, after which the call is cancelled.
 */
export function receiveMessages(stream: ClientStream, options: ReceiveOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    new Receiver(stream, options, (failure) => {
      if (failure === undefined) resolve();
      else reject(failure.error);
    });
  });
}

type OnEnd = (failure: { readonly error: unknown } | undefined) => void;

class Receiver implements StreamListener {
  readonly #stream: ClientStream;
  readonly #options: ReceiveOptions;
  readonly #messages: MessageReader;
  readonly #onAbort = () => this.#cancel(statusError(this.#options.path, Status.CANCELLED));
  #onEnd: OnEnd | undefined;
  #httpStatus = 200;
  #trailers: Headers = NO_HEADERS;
  #isHeld = false;
  /** Bytes that have come while the messages are held back. */
  #numHeld = 0;

  constructor(stream: ClientStream, options: ReceiveOptions, onEnd: OnEnd) {
    this.#stream = stream;
    this.#options = options;
    this.#messages = new MessageReader(options.maxMessageBytes);
    this.#onEnd = onEnd;
    stream.listen(this);
    options.signal.addEventListener('abort', this.#onAbort);
  }

  onResponse(headers: Headers): void {
    this.#httpStatus = Number(headers.get(':status') ?? 0);
    // An answer that is nothing but a status.
    if (headers.has(STATUS_TRAILER)) this.#trailers = headers;
  }

  onTrailers(headers: Headers): void {
    this.#trailers = headers;
  }

  onData(bytes: Buffer): void {
    this.#messages.add(bytes);
    this.#numHeld += bytes.length;
    this.#deliver();
  }

  onClose(): void {
    this.#deliver();
  }

  #deliver(): void {
    try {
      while (!this.#isHeld && this.#onEnd !== undefined) {
        const message = this.#messages.next();
        if (message === undefined) break;
        const wait = this.#options.take(message);
        if (wait !== undefined) this.#hold(wait);
      }
    } catch (error: unknown) {
      this.#cancel(error);
    }
    if (this.#isHeld) return;
    this.#stream.took(this.#numHeld);
    this.#numHeld = 0;
    if (this.#stream.isClosed && this.#onEnd !== undefined) this.#end(this.#failure());
  }

  #hold(wait: Promise<void>): void {
    this.#isHeld = true;
    wait.then(
      () => {
        this.#isHeld = false;
        this.#deliver();
      },
      (error: unknown) => this.#cancel(error),
    );
  }

  #cancel(error: unknown): void {
    this.#end({ error });
    this.#stream.close(ErrorCode.CANCEL);
  }

  #end(failure: { readonly error: unknown } | undefined): void {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#onEnd?.(failure);
    this.#onEnd = undefined;
  }

  /** Returns why a closed stream is no whole answer; undefined if it is one. */
  #failure(): { readonly error: unknown } | undefined {
    const { path } = this.#options;
    const status = this.#trailers.get(STATUS_TRAILER);
    if (status === undefined) return { error: statusError(path, this.#codeWithoutStatus()) };
    const code = Number(status);
    if (code === Status.OK) return undefined;
    return { error: statusError(path, code in Status ? code : Status.UNKNOWN, this.#trailers) };
  }

  #codeWithoutStatus(): Status {
    if (AWAY_STATUSES.has(this.#httpStatus)) return Status.UNAVAILABLE;
    if (this.#httpStatus !== 200) return Status.UNKNOWN;
    const { connection, rstCode } = this.#stream;
    if (connection.isEnding) return Status.UNAVAILABLE;
    switch (rstCode) {
      case ErrorCode.REFUSED_STREAM:
        return Status.UNAVAILABLE;
      case ErrorCode.CANCEL:
        return Status.CANCELLED;
      case ErrorCode.ENHANCE_YOUR_CALM:
        return Status.RESOURCE_EXHAUSTED;
      default:
        return Status.INTERNAL;
    }
  }
}

const STATUS_TRAILER = 'grpc-status';
const NO_HEADERS: Headers = new Map();

/** Makes the error of a status, in the service's words if it sent any. */
function statusError(path: string, code: Status, trailers = NO_HEADERS): Error {
  const encoded = trailers.get(DETAILS_TRAILER);
  const details = encoded === undefined ? undefined : Buffer.from(encoded, 'base64');
  const message = messageOf(trailers) ?? 'the call ended without an answer';
  return meshErrorFromStatus(
    new ClientError(path, code, message),
    details && Metadata().set(DETAILS_TRAILER, details),
  );
}

function messageOf(trailers: Headers): string | undefined {
  const encoded = trailers.get('grpc-message');
  if (encoded === undefined) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
