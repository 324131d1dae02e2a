import { createInterface } from 'node:readline';
import { type Wait, within } from './bounded.ts';

/** Longest wait for a line or for the end, ms: a process must start before it writes a line. */
const BOUND_MS = 60_000;
/** Longest wait for a mesh that builds or loads models first, ms. */
export const LOADING_MS = 120_000;

/** The lines of a stream, for tests that wait for them. */
export class Lines {
  readonly seen: string[] = [];
  readonly #ended: Promise<void>;
  readonly #waiting = new Set<() => void>();
  readonly #boundMs: number;
  #isEnded = false;

  constructor(stream: NodeJS.ReadableStream, boundMs = BOUND_MS) {
    this.#boundMs = boundMs;
    const input = createInterface({ input: stream });
    input.on('line', (line) => {
      this.seen.push(line);
      this.#wake();
    });
    this.#ended = new Promise((resolve) => {
      input.once('close', () => {
        this.#isEnded = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Resolves when every holder of the stream's other end is gone. */
  get ended(): Promise<void> {
    return within(this.#ended, this.#wait('the end'));
  }

  /** Resolves to the first line that matches, past lines included, from the `from`th on. */
  match(pattern: RegExp, from = 0): Promise<string> {
    return within(this.#match(pattern, from), this.#wait(`a line like ${pattern}`));
  }

  async #match(pattern: RegExp, from: number): Promise<string> {
    for (;;) {
      const line = this.seen.slice(from).find((one) => pattern.test(one));
      if (line !== undefined) return line;
      if (this.#isEnded) throw new Error(`no line matches ${pattern}:\n${this.seen.join('\n')}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #wait(what: string): Wait {
    return { what, trace: () => this.seen, boundMs: this.#boundMs };
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
