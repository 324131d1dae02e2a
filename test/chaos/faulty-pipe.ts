import type { Socket } from 'node:net';
import type { Clock } from '#mesh/async/clock.ts';
import type { Direction, LinkFault } from './link-fault.ts';

/** Bytes in a queue above which its source is not read. */
const MAX_QUEUED_BYTES = 1024 * 1024;

/** Bytes on their way, or the end of the stream. */
interface Parcel {
  readonly bytes: Buffer | undefined;
  readonly dueMs: number;
}

export interface PipeOptions {
  readonly direction: Direction;
  /** Returns the fault that is on. */
  readonly fault: () => LinkFault;
  readonly clock: Clock;
  /** Returns a number in [0, 1). */
  readonly random: () => number;
  /** Called with all bytes that are read, whatever becomes of them. */
  readonly onBytes?: ((bytes: Buffer) => void) | undefined;
  /** Called when a truncated stream has been ended. */
  readonly onTruncated: () => void;
}

/**
 * One direction of a connection: passes bytes on in order, as late as its fault wants it.
 *
 * 0 <= bytes in the queue; no parcel is due before the one in front of it.
 */
export class FaultyPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #options: PipeOptions;
  readonly #queue: Parcel[] = [];
  #numQueuedBytes = 0;
  #lastDueMs = 0;
  #isBlocked = false;
  #callOff = () => {};
  #isLossy = false;
  /** The truncation that is on, and the bytes that it still lets pass. */
  #truncation: { readonly fault: LinkFault; numLeft: number } | undefined;

  constructor(from: Socket, to: Socket, options: PipeOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    from.on('data', (bytes: Buffer) => {
      options.onBytes?.(bytes);
      this.#take(bytes);
    });
    from.on('end', () => this.#take(undefined));
    to.on('drain', () => {
      this.#isBlocked = false;
      this.#pump();
    });
  }

  /** Whether bytes were swallowed, so that the connection can no longer be used. */
  get isLossy(): boolean {
    return this.#isLossy;
  }

  /** Ends the stream towards the sink, and reads on without passing anything. */
  halfClose(): void {
    this.#isLossy = true;
    this.#to.end();
  }

  /** Passes on what was held, if the fault allows it. */
  resume(): void {
    this.#pump();
  }

  stop(): void {
    this.#callOff();
    this.#queue.length = 0;
  }

  #take(bytes: Buffer | undefined): void {
    if (this.#isLossy || this.#isSwallowed()) {
      this.#isLossy = true;
      return;
    }
    const rest = this.#truncated(bytes);
    this.#queue.push({ bytes: rest, dueMs: this.#due(rest?.length ?? 0) });
    this.#numQueuedBytes += rest?.length ?? 0;
    if (this.#numQueuedBytes > MAX_QUEUED_BYTES) this.#from.pause();
    this.#pump();
  }

  #isSwallowed(): boolean {
    const fault = this.#options.fault();
    if (fault.kind !== 'black hole') return false;
    return fault.direction === undefined || fault.direction === this.#options.direction;
  }

  /** Returns the bytes that a truncation lets pass; undefined if there is nothing but the end. */
  #truncated(bytes: Buffer | undefined): Buffer | undefined {
    const { fault: current, direction } = this.#options;
    const fault = current();
    if (fault.kind !== 'truncate' || fault.direction !== direction) return bytes;
    if (this.#truncation?.fault !== fault) {
      this.#truncation = { fault, numLeft: fault.numBytes };
    }
    const { numLeft } = this.#truncation;
    if (bytes === undefined || bytes.length < numLeft) {
      this.#truncation.numLeft -= bytes?.length ?? 0;
      return bytes;
    }
    // The end follows the last bytes; what comes after them is swallowed.
    this.#isLossy = true;
    this.#queue.push({ bytes: bytes.subarray(0, numLeft), dueMs: this.#due(numLeft) });
    this.#numQueuedBytes += numLeft;
    return undefined;
  }

  /** Returns when bytes that come at this moment are to be passed on. */
  #due(numBytes: number): number {
    const { clock, random } = this.#options;
    const fault = this.#options.fault();
    const nowMs = clock.now();
    const earliestMs = Math.max(nowMs, this.#lastDueMs);
    if (fault.kind === 'bandwidth') {
      this.#lastDueMs = earliestMs + (1000 * numBytes) / fault.bytesPerS;
    } else if (fault.kind === 'latency') {
      const lateMs = nowMs + fault.delayMs + random() * fault.jitterMs;
      this.#lastDueMs = Math.max(earliestMs, lateMs);
    } else this.#lastDueMs = earliestMs;
    return this.#lastDueMs;
  }

  #pump(): void {
    this.#callOff();
    if (this.#options.fault().kind === 'hold') return;
    while (!this.#isBlocked) {
      const [next] = this.#queue;
      if (next === undefined) break;
      const waitMs = next.dueMs - this.#options.clock.now();
      if (waitMs > 0) {
        this.#callOff = this.#options.clock.after(waitMs, () => this.#pump());
        return;
      }
      this.#queue.shift();
      this.#pass(next);
    }
    if (this.#numQueuedBytes <= MAX_QUEUED_BYTES && this.#from.isPaused()) this.#from.resume();
  }

  #pass({ bytes }: Parcel): void {
    if (bytes !== undefined) {
      this.#numQueuedBytes -= bytes.length;
      this.#isBlocked = !this.#to.write(bytes);
      return;
    }
    this.#to.end();
    if (this.#isLossy) this.#options.onTruncated();
  }
}
