import { Changes } from '#mesh/async/changes.ts';

/** Bytes that a string takes besides its characters. */
const STRING_OVERHEAD_BYTES = 64;

/** One reader of an answer. */
export interface AnswerReader {
  /** Sends frames; a returned promise means that the reader is behind. */
  readonly send: (frames: string) => Promise<void> | undefined;
  /** Called before anything is sent if something else answers than the model. */
  readonly label: (servedBy: string) => void;
}

/** How a run ended: with the last frames or the whole body, or with a failure. */
type Ending =
  | { readonly kind: 'answer'; readonly last: string }
  | { readonly kind: 'failure'; readonly error: unknown };

/** A reader's place: the index of the next frame that it takes. */
interface Place {
  next: number;
}

/**
 * The answer of one run for any number of readers, each at a pace of its own. While it is kept, it
 * holds all its frames, and a reader may begin at the first of them at any time. Otherwise it holds
 * those that a reader still needs, and the run waits for its slowest reader.
 */
export class AnswerRecord {
  readonly #onGrowth: (numBytes: number) => void;
  readonly #readers = new Set<Place>();
  readonly #changes = new Changes();
  #frames: string[] = [];
  /** Index in the answer of the first frame that is held. */
  #first = 0;
  #ending: Ending | undefined;
  #isKept = true;
  #servedBy: string | undefined;

  /** `onGrowth` is told of the bytes that each part of the answer takes in memory. */
  constructor(onGrowth: (numBytes: number) => void) {
    this.#onGrowth = onGrowth;
  }

  get hasEnded(): boolean {
    return this.#ending !== undefined;
  }

  label(servedBy: string): void {
    this.#servedBy = servedBy;
  }

  /** Adds frames; a returned promise means that the run must wait for a reader. */
  push(frames: string, signal: AbortSignal): Promise<void> | undefined {
    this.#frames.push(frames);
    this.#changes.notify();
    if (this.#isKept) this.#onGrowth(bytesOf(frames));
    return this.#isKept ? undefined : this.#untilTaken(signal);
  }

  finish(last: string): void {
    this.#end({ kind: 'answer', last });
    if (this.#isKept) this.#onGrowth(bytesOf(last));
  }

  fail(error: unknown): void {
    this.#end({ kind: 'failure', error });
  }

  #end(ending: Ending): void {
    this.#ending = ending;
    this.#changes.notify();
  }

  /** Nobody begins to read from here on, and what all readers have taken is dropped. */
  stopKeeping(): void {
    this.#isKept = false;
    this.#trim();
  }

  /**
   * Sends all frames from the first to one reader, then returns the last part of the answer or
   * throws its failure.
   */
  async read({ send, label }: AnswerReader, signal: AbortSignal): Promise<string> {
    const place = { next: this.#first };
    this.#readers.add(place);
    let isLabelled = false;
    try {
      for (;;) {
        signal.throwIfAborted();
        const seen = this.#changes.count;
        const frames = this.#take(place);
        const hasNews = frames !== '' || this.hasEnded;
        if (hasNews && this.#servedBy !== undefined && !isLabelled) label(this.#servedBy);
        isLabelled ||= hasNews;
        if (frames !== '') await send(frames);
        else if (this.#ending?.kind === 'answer') return this.#ending.last;
        else if (this.#ending !== undefined) throw this.#ending.error;
        else await this.#changes.after(seen, { signal });
      }
    } finally {
      this.#readers.delete(place);
      this.#trim();
    }
  }

  #take(place: Place): string {
    const frames = this.#frames.slice(place.next - this.#first).join('');
    place.next = this.#first + this.#frames.length;
    this.#trim();
    return frames;
  }

  #trim(): void {
    if (this.#isKept) return;
    const end = this.#first + this.#frames.length;
    const needed = Math.min(end, ...[...this.#readers].map(({ next }) => next));
    if (needed === this.#first) return;
    this.#frames = this.#frames.slice(needed - this.#first);
    this.#first = needed;
    this.#changes.notify();
  }

  async #untilTaken(signal: AbortSignal): Promise<void> {
    while (this.#frames.length > 0) {
      signal.throwIfAborted();
      await this.#changes.after(this.#changes.count, { signal });
    }
  }
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text) + STRING_OVERHEAD_BYTES;
}
