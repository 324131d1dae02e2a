import { MeshError } from '#mesh/errors.ts';
import type { OpenedFile } from '../media-reader.ts';
import { type DecoderLimits, DecoderProcess, type DecoderProgram } from './decoder-process.ts';
import { FairSlots, type SlotAsker } from './fair-slots.ts';

export interface DecoderPoolOptions {
  readonly program: DecoderProgram;
  /** Most decoders of one client at once. */
  readonly numDecoders: number;
  readonly limits: DecoderLimits;
}

/** A decoder that has more memory than this after a file is replaced. */
const MAX_KEPT_BYTES = 256e6;

/** Decoders beyond those that one client can have, so that others need not wait for its files. */
const NUM_SPARE_DECODERS = 1;

/**
 * Decodes files in processes that can be killed, at most so many of one client at once; one request has
 * no more than half of them. A process that has ended is replaced at once.
 */
export class DecoderPool {
  readonly #options: DecoderPoolOptions;
  readonly #slots: FairSlots;
  readonly #all = new Set<DecoderProcess>();
  readonly #idle: DecoderProcess[] = [];
  #isClosed = false;

  constructor(options: DecoderPoolOptions) {
    this.#options = options;
    const { numDecoders } = options;
    this.#slots = new FairSlots({
      limit: numDecoders + NUM_SPARE_DECODERS,
      maxPerClient: numDecoders,
      maxPerRequest: Math.max(1, Math.floor(numDecoders / 2)),
    });
  }

  /** Starts a decoder ahead of the first file. */
  warmUp(): void {
    if (this.#all.size === 0) this.#idle.push(this.#start());
  }

  /** Opens a file in a decoder, which has no other until the file is closed. */
  async open(bytes: Buffer, asker: SlotAsker): Promise<OpenedFile> {
    const { signal } = asker;
    const leave = await this.#slots.enter(asker);
    const decoder = this.#take();
    const close = () => {
      this.#giveBack(decoder);
      leave();
    };
    try {
      const { reply } = await decoder.open(bytes, signal);
      if (reply.kind !== 'opened') throw outOfTurn();
      const { facts, durationMs } = reply;
      const load = async () => {
        const loaded = await decoder.load(signal);
        if (loaded.reply.kind !== 'loaded') throw outOfTurn();
        return loaded.bytes;
      };
      return { facts, durationMs, load, close };
    } catch (error: unknown) {
      close();
      throw error;
    }
  }

  /** Ends all decoders; files that they have fail. */
  close(): void {
    this.#isClosed = true;
    for (const decoder of this.#all) decoder.kill();
    this.#all.clear();
    this.#idle.length = 0;
  }

  #take(): DecoderProcess {
    for (;;) {
      const decoder = this.#idle.pop();
      if (decoder === undefined) return this.#start();
      if (!decoder.isGone) return decoder;
      this.#all.delete(decoder);
    }
  }

  #start(): DecoderProcess {
    const decoder = new DecoderProcess(this.#options.program, this.#options.limits);
    this.#all.add(decoder);
    return decoder;
  }

  #giveBack(decoder: DecoderProcess): void {
    if (this.#isClosed) return;
    if (!decoder.isGone && decoder.residentBytes > MAX_KEPT_BYTES) decoder.kill();
    if (decoder.isGone) this.#all.delete(decoder);
    this.#idle.push(decoder.isGone ? this.#start() : decoder);
  }
}

function outOfTurn(): MeshError {
  return new MeshError('ENGINE_FAILED', 'the decoder process answered out of turn');
}
