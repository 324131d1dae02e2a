import type { Worker } from 'node:worker_threads';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { startThread } from '#mesh/thread.ts';
import type { BodyBytes } from './body-bytes.ts';
import type { ParseResult } from './json-worker.ts';
import { parseJson } from './parse-json.ts';

/** Largest body that is parsed on the loop: its time is under 10 ms. */
const MAX_LOOP_BYTES = 1024 * 1024;
/**
 * A body with fewer bytes for a value is parsed on the loop, because its value would be as costly
 * to hand over as to parse. The limit on values bounds that time.
 */
const MIN_BYTES_PER_VALUE = 64;
/** Milliseconds that the thread may take for one body; the largest need two seconds. */
const TIME_LIMIT_MS = 30_000;
/** Milliseconds after which an idle thread is ended, so that its memory goes back. */
const IDLE_MS = 5000;
const MAX_HEAP_MB = 2048;

/** A whole body that has passed the bounds on its values. */
export interface JsonSource {
  readonly bytes: BodyBytes;
  readonly numValues: number;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

interface Order {
  readonly slabs: ArrayBuffer[];
  readonly numBytes: number;
  readonly signal: AbortSignal;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Parses bodies in turn: small ones on the loop, large ones in a thread of their own, the smallest of
 * those that wait first.
 */
export class JsonParser {
  readonly #clock: Clock;
  readonly #waiting: Order[] = [];
  #turns: Promise<void> = Promise.resolve();
  #worker: Worker | undefined;
  #current: Order | undefined;
  #callOff: () => void = () => {};

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async parse({ bytes, numValues, signal }: JsonSource): Promise<unknown> {
    const { numBytes } = bytes;
    if (numBytes <= MAX_LOOP_BYTES || numBytes / numValues < MIN_BYTES_PER_VALUE) {
      await this.#turn();
      signal.throwIfAborted();
      return parseJson(bytes.joined());
    }
    const slabs = bytes.slabs();
    return await new Promise<unknown>((resolve, reject) => {
      this.#waiting.push({ slabs, numBytes, signal, resolve, reject });
      this.#next();
    });
  }

  /** Waits until the loop has turned once for this body alone. */
  #turn(): Promise<void> {
    this.#turns = this.#turns.then(() => new Promise((resolve) => setImmediate(resolve)));
    return this.#turns;
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const order = this.#takeSmallest();
    this.#callOff();
    if (order === undefined) {
      this.#callOff = this.#clock.after(IDLE_MS, () => this.#endWorker());
      return;
    }
    if (order.signal.aborted) {
      order.reject(order.signal.reason);
      this.#next();
      return;
    }
    this.#current = order;
    this.#callOff = this.#clock.after(TIME_LIMIT_MS, () => this.#fail(tooSlow()));
    this.#worker ??= this.#startWorker();
    this.#worker.ref();
    this.#worker.postMessage(order.slabs, order.slabs);
  }

  #takeSmallest(): Order | undefined {
    const [smallest] = this.#waiting.toSorted((a, b) => a.numBytes - b.numBytes);
    if (smallest !== undefined) this.#waiting.splice(this.#waiting.indexOf(smallest), 1);
    return smallest;
  }

  #startWorker(): Worker {
    const worker = startThread(import.meta.resolve('#gateway/http/body/json-worker.ts'), {
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    worker.on('message', (result: ParseResult) => {
      if (worker === this.#worker) this.#finish(result);
    });
    worker.on('error', (cause) => {
      if (worker === this.#worker) this.#fail(failureOf(cause));
    });
    return worker;
  }

  #finish(result: ParseResult): void {
    const order = this.#current;
    this.#current = undefined;
    this.#worker?.unref();
    if ('value' in result) order?.resolve(result.value);
    else order?.reject(new MeshError('INVALID_REQUEST', result.refusal));
    this.#next();
  }

  /** Ends the thread with the body it works on; the next body gets another one. */
  #fail(error: Error): void {
    const order = this.#current;
    this.#current = undefined;
    this.#endWorker();
    order?.reject(error);
    this.#next();
  }

  #endWorker(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }
}

function tooSlow(): MeshError {
  const message = `the body could not be parsed within ${TIME_LIMIT_MS / 1000} s`;
  return new MeshError('PAYLOAD_TOO_LARGE', message);
}

/** A thread that runs out of memory says why it is refused; anything else is a fault of ours. */
function failureOf(cause: Error): Error {
  if (!('code' in cause) || cause.code !== 'ERR_WORKER_OUT_OF_MEMORY') return cause;
  return new MeshError('PAYLOAD_TOO_LARGE', 'the body needs too much memory to be parsed', {
    cause,
  });
}
