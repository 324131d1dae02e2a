import type { IncomingMessage } from 'node:http';
import { MeshError } from '#mesh/errors.ts';
import type { BodyMemory } from './body-memory.ts';
import { damaged, decodedBody, isEncoded } from './decoded-body.ts';
import { askForBody } from './expect-continue.ts';
import { type PaceLimit, watchPace } from './pace.ts';

/** Small pieces are passed on together when there are this many of them, or `BLOCK_BYTES` bytes. */
const MAX_PIECES = 256;
const BLOCK_BYTES = 64 * 1024;

export interface ReceiveLimits {
  /** Most bytes of one body, decoded. */
  readonly maxBytes: number;
  /** Counts the bytes of all bodies. */
  readonly memory: BodyMemory;
  readonly pace: PaceLimit;
}

export interface BodyReceiver {
  readonly limits: ReceiveLimits;
  /** Takes the next bytes; an error it throws ends the reception. */
  take(block: Buffer): void;
}

/**
 * Receives a body and keeps none of it. Nothing is read before there is room for the announced
 * length.
 */
export async function receiveBody(raw: IncomingMessage, receiver: BodyReceiver): Promise<void> {
  const { maxBytes, memory } = receiver.limits;
  const numAnnounced = isEncoded(raw) ? 0 : Number(raw.headers['content-length'] ?? 0);
  if (numAnnounced > maxBytes) throw tooLarge();
  if (raw.destroyed) throw lost();
  let cutOff = (_error: MeshError) => {};
  await memory.open(raw, { numAnnounced, onCutOff: (error) => cutOff(error) });
  askForBody(raw);
  const reception = new Reception(raw, receiver);
  cutOff = (error) => reception.stop(error);
  await reception.done;
  memory.complete(raw);
}

/** Requests whose bodies came too slowly or in crumbs, of which no more is read. */
const givenUp = new WeakSet<IncomingMessage>();

/** Tells whether a body was refused for the way in which it came. */
export function isGivenUp(raw: IncomingMessage): boolean {
  return givenUp.has(raw);
}

/**
 * The reception of one body. A client may cut its body into chunks of one byte, each of which
 * arrives as an object of a hundred bytes, so small pieces are joined before they are passed on.
 */
class Reception {
  readonly done: Promise<void>;
  readonly #raw: IncomingMessage;
  readonly #receiver: BodyReceiver;
  #pieces: Buffer[] = [];
  #numReceived = 0;
  #numWaiting = 0;
  #settle: (error: unknown) => void = () => {};

  constructor(raw: IncomingMessage, receiver: BodyReceiver) {
    this.#raw = raw;
    this.#receiver = receiver;
    this.done = new Promise((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    if (raw.destroyed) this.stop(lost());
    else this.#listen();
  }

  /** Ends the reception with a failure; it settles once. */
  stop: (error: unknown) => void = (error) => this.#settle(error);

  #listen(): void {
    const raw = this.#raw;
    const onDamage = (cause: Error) => this.stop(damaged(cause));
    const { bytes, close } = decodedBody(raw, onDamage);
    const onData = (piece: Buffer) => this.#push(piece);
    const onEnd = () => {
      this.#handOn();
      this.stop(undefined);
    };
    const onLoss = (cause?: Error) => {
      if (!raw.complete) this.stop(lost(cause));
    };
    const giveUp = (error: MeshError) => {
      givenUp.add(raw);
      this.stop(error);
    };
    const stopWatch = watchPace(raw, this.#receiver.limits.pace, {
      onSlow: () => giveUp(tooSlow()),
      onCrumbs: () => giveUp(crumbs()),
    });
    this.stop = (error) => {
      stopWatch();
      bytes.off('data', onData).off('end', onEnd);
      raw.off('error', onLoss).off('close', onLoss).off('end', stopWatch);
      if (bytes !== raw) close();
      this.#settle(error);
    };
    bytes.on('data', onData).on('end', onEnd);
    raw.on('error', onLoss).on('close', onLoss).on('end', stopWatch);
  }

  #push(piece: Buffer): void {
    this.#numReceived += piece.length;
    this.#numWaiting += piece.length;
    this.#pieces.push(piece);
    if (this.#numReceived > this.#receiver.limits.maxBytes) this.stop(tooLarge());
    else if (this.#numWaiting >= BLOCK_BYTES || this.#pieces.length >= MAX_PIECES) this.#handOn();
  }

  #handOn(): void {
    const [first] = this.#pieces;
    if (first === undefined) return;
    const block = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces, this.#numWaiting);
    this.#numWaiting = 0;
    this.#pieces = [];
    try {
      this.#receiver.limits.memory.take(this.#raw, block.length);
      this.#receiver.take(block);
    } catch (error: unknown) {
      this.stop(error);
    }
  }
}

function tooLarge(): MeshError {
  const message = 'the body is larger than the limit of this server (key "max-body-mb")';
  return new MeshError('PAYLOAD_TOO_LARGE', message);
}

function tooSlow(): MeshError {
  const message = 'the body came too slowly or not at all (key "body-stall-timeout-s")';
  return new MeshError('BODY_TOO_SLOW', message);
}

function crumbs(): MeshError {
  const message = 'the body comes in thousands of chunks of a few bytes; send larger ones';
  return new MeshError('INVALID_REQUEST', message);
}

function lost(cause?: Error): MeshError {
  return new MeshError('CANCELLED', 'the client left before its body was whole', { cause });
}
