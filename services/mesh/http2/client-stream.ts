import assert from 'node:assert/strict';
import { ErrorCode, FIRST_WINDOW_BYTES, Http2Error } from './frame.ts';
import type { Headers } from './header-block.ts';

/** Bytes that are taken before the peer is told that it may send as many again. */
const CREDIT_BYTES = FIRST_WINDOW_BYTES >>> 1;

/** Is told what comes on a stream. */
export interface StreamListener {
  /** The head of the answer; those of interim answers are left out. */
  onResponse(headers: Headers): void;
  /** Bytes of the answer, which are this listener's; they count as not taken until it says so. */
  onData(bytes: Buffer): void;
  onTrailers(headers: Headers): void;
  /** The stream has ended; `rstCode` tells how. */
  onClose(): void;
}

/** What a stream needs of its connection. */
export interface StreamConnection {
  /** Whether it is lost, or takes no more streams. */
  readonly isEnding: boolean;
  /** Sends what waits on a stream as far as the peer and the socket take it. */
  send(stream: ClientStream): void;
  /** Ends a stream that the peer has not ended. */
  reset(stream: ClientStream, code: number): void;
  /** Lets the peer send so many bytes more on a stream. */
  credit(stream: ClientStream, numBytes: number): void;
}

/**
 * One request on a connection and its answer.
 *
 * Invariants: `numWaiting` is the bytes of `#waiting`; what the peer has sent and its listener has
 * not taken is at most a window.
 */
export class ClientStream {
  readonly id: number;
  readonly connection: StreamConnection;
  /** Bytes that the peer takes on this stream; below 0 after it has made its windows smaller. */
  sendWindow: number;
  /** Code of the reset that has ended it. */
  rstCode: number = ErrorCode.NO_ERROR;
  #listener: StreamListener | undefined;
  readonly #waiting: Buffer[] = [];
  #numWaiting = 0;
  #isEnded = false;
  #isClosed = false;
  #hasResponse = false;
  #numUntaken = 0;
  #numToCredit = 0;
  #onDrain: (() => void) | undefined;

  constructor(id: number, connection: StreamConnection, sendWindow: number) {
    this.id = id;
    this.connection = connection;
    this.sendWindow = sendWindow;
  }

  /** Sets who is told what comes; nothing comes before the next turn. */
  listen(listener: StreamListener): void {
    this.#listener = listener;
  }

  /** Whether nothing more can be written. */
  get isEnded(): boolean {
    return this.#isEnded || this.#isClosed;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get numWaiting(): number {
    return this.#numWaiting;
  }

  /** Sends bytes; returns false if some of them wait, and calls `onDrain` when none does any more. */
  write(bytes: Buffer, onDrain: () => void): boolean {
    this.#push(bytes);
    if (this.#numWaiting > 0) this.#onDrain = onDrain;
    return this.#numWaiting === 0;
  }

  /** Sends the last bytes. */
  end(bytes?: Buffer): void {
    if (this.isEnded) return;
    this.#isEnded = true;
    this.#push(bytes ?? EMPTY);
  }

  #push(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#waiting.push(bytes);
    this.#numWaiting += bytes.length;
    this.connection.send(this);
  }

  /** Whether there is something to send: bytes, or the end of them. */
  get hasNews(): boolean {
    return this.#waiting.length > 0;
  }

  /** Removes what is sent next, at most so many bytes; the last piece ends the request. */
  next(maxBytes: number): { readonly bytes: Buffer; readonly isLast: boolean } {
    const [first] = this.#waiting;
    assert(first !== undefined);
    const bytes = first.subarray(0, maxBytes);
    if (bytes.length === first.length) this.#waiting.shift();
    else this.#waiting[0] = first.subarray(maxBytes);
    this.#numWaiting -= bytes.length;
    return { bytes, isLast: this.#isEnded && this.#waiting.length === 0 };
  }

  /** Tells the writer that everything is sent. */
  drained(): void {
    const onDrain = this.#onDrain;
    this.#onDrain = undefined;
    onDrain?.();
  }

  /** Notes that the listener has taken bytes, so that the peer may send others. */
  took(numBytes: number): void {
    this.#numUntaken -= numBytes;
    this.#numToCredit += numBytes;
    if (this.#isClosed || this.#numToCredit < CREDIT_BYTES) return;
    this.connection.credit(this, this.#numToCredit);
    this.#numToCredit = 0;
  }

  headersCame(headers: Headers): void {
    if (this.#hasResponse) {
      this.#listener?.onTrailers(headers);
    } else if (!isInterim(headers)) {
      this.#hasResponse = true;
      this.#listener?.onResponse(headers);
    }
  }

  /** Passes on the bytes of a frame, which took `numBytes` of the window with its padding. */
  dataCame(bytes: Buffer, numBytes: number): void {
    this.#numUntaken += numBytes;
    if (this.#numUntaken + this.#numToCredit > FIRST_WINDOW_BYTES) {
      throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, 'more bytes than a stream has room for');
    }
    if (numBytes > bytes.length) this.took(numBytes - bytes.length);
    this.#listener?.onData(bytes);
  }

  /** Notes the end of the stream, by whichever side. */
  ended(rstCode: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.rstCode = rstCode;
    this.#waiting.length = 0;
    this.#numWaiting = 0;
    this.#listener?.onClose();
    // What is left of a map of streams does not keep all that the call has used (see Roster).
    this.#listener = undefined;
    this.drained();
  }

  /** Gives the stream up, and tells the peer why. */
  close(code: number): void {
    if (!this.#isClosed) this.connection.reset(this, code);
  }
}

const EMPTY = Buffer.alloc(0);

function isInterim(headers: Headers): boolean {
  return headers.get(':status')?.startsWith('1') === true;
}
