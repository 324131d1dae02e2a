import {
  type ClientHttp2Stream,
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
} from 'node:http2';
import { ClientError, Metadata, Status } from 'nice-grpc-common';
import { DETAILS_TRAILER, meshErrorFromStatus } from './error-status.ts';
import { MessageReader } from './message-reader.ts';

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = constants;

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
export function receiveMessages(stream: ClientHttp2Stream, options: ReceiveOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    new Receiver(stream, options, (failure) => {
      if (failure === undefined) resolve();
      else reject(failure.error);
    });
  });
}

type OnEnd = (failure: { readonly error: unknown } | undefined) => void;

class Receiver {
  readonly #stream: ClientHttp2Stream;
  /** A closed stream does not have it any more. */
  readonly #session: Http2Session | undefined;
  readonly #options: ReceiveOptions;
  readonly #messages: MessageReader;
  readonly #onAbort = () => this.#cancel(statusError(this.#options.path, Status.CANCELLED));
  #onEnd: OnEnd | undefined;
  #httpStatus = 200;
  #trailers: IncomingHttpHeaders | undefined;
  #isHeld = false;
  #isClosed = false;

  constructor(stream: ClientHttp2Stream, options: ReceiveOptions, onEnd: OnEnd) {
    this.#stream = stream;
    this.#session = stream.session;
    this.#options = options;
    this.#messages = new MessageReader(options.maxMessageBytes);
    this.#onEnd = onEnd;
    stream.on('response', (headers) => {
      this.#httpStatus = headers[':status'] ?? 0;
      if (headers['grpc-status'] !== undefined) this.#endedBy(headers);
    });
    stream.on('trailers', (headers) => this.#endedBy(headers));
    stream.on('data', (bytes: Buffer) => {
      this.#messages.add(bytes);
      this.#deliver();
    });
    // The stream closes then, and its code tells what it was.
    stream.on('error', () => {});
    stream.on('close', () => {
      this.#isClosed = true;
      this.#deliver();
    });
    options.signal.addEventListener('abort', this.#onAbort);
  }

  /** Takes the status of the call; what was not sent is not wanted any more. */
  #endedBy(headers: IncomingHttpHeaders): void {
    this.#trailers ??= headers;
    if (!this.#stream.writableEnded) this.#stream.end();
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
    if (this.#isClosed && !this.#isHeld) this.#end(this.#failure());
  }

  #hold(wait: Promise<void>): void {
    this.#isHeld = true;
    this.#stream.pause();
    wait.then(
      () => {
        this.#isHeld = false;
        this.#stream.resume();
        this.#deliver();
      },
      (error: unknown) => this.#cancel(error),
    );
  }

  #cancel(error: unknown): void {
    this.#end({ error });
    this.#stream.close(NGHTTP2_CANCEL);
  }

  #end(failure: { readonly error: unknown } | undefined): void {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#onEnd?.(failure);
    this.#onEnd = undefined;
  }

  /** Returns why a closed stream is no whole answer; undefined if it is one. */
  #failure(): { readonly error: unknown } | undefined {
    const { path } = this.#options;
    const status = this.#trailers?.['grpc-status'];
    if (status === undefined) return { error: statusError(path, this.#codeWithoutStatus()) };
    const code = Number(status);
    if (code === Status.OK) return undefined;
    return { error: statusError(path, code in Status ? code : Status.UNKNOWN, this.#trailers) };
  }

  #codeWithoutStatus(): Status {
    if (AWAY_STATUSES.has(this.#httpStatus)) return Status.UNAVAILABLE;
    if (this.#httpStatus !== 200) return Status.UNKNOWN;
    const session = this.#session;
    if (session === undefined || session.closed || session.destroyed) return Status.UNAVAILABLE;
    switch (this.#stream.rstCode) {
      case NGHTTP2_REFUSED_STREAM:
        return Status.UNAVAILABLE;
      case NGHTTP2_CANCEL:
        return Status.CANCELLED;
      case NGHTTP2_ENHANCE_YOUR_CALM:
        return Status.RESOURCE_EXHAUSTED;
      default:
        return Status.INTERNAL;
    }
  }
}

/** Makes the error of a status, in the service's words if it sent any. */
function statusError(path: string, code: Status, trailers: IncomingHttpHeaders = {}): Error {
  const encoded = trailers[DETAILS_TRAILER];
  const details = typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : undefined;
  const message = messageOf(trailers) ?? 'the call ended without an answer';
  return meshErrorFromStatus(
    new ClientError(path, code, message),
    details && Metadata().set(DETAILS_TRAILER, details),
  );
}

function messageOf({ 'grpc-message': encoded }: IncomingHttpHeaders): string | undefined {
  if (typeof encoded !== 'string') return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
