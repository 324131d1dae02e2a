import type { ChoiceEnd, Emit, OutputPiece, OutputStages } from './output-stage.ts';

const NO_PIECES: readonly OutputPiece[] = [];

/** Runs stages in a chain: token ids enter the first, text leaves the last. */
export class StageChain {
  readonly #stages: OutputStages;
  readonly #push: (tokenId: number) => void;
  /** For each stage, a function that flushes it into the next one. */
  readonly #flushes: readonly (() => void)[];
  /** Pieces that the last stage has emitted during the call. */
  #emitted: OutputPiece[] | null = null;

  constructor(stages: OutputStages) {
    const [first, ...others] = stages;
    const flushes: (() => void)[] = [];
    let outlet: Emit = (piece) => {
      // Most calls emit one piece, and a list that starts empty would reserve room for many.
      if (this.#emitted === null) this.#emitted = [piece];
      else this.#emitted.push(piece);
    };
    // Stages are linked from last to first, once, so that no token pays for it.
    for (const stage of others.toReversed()) {
      const next = outlet;
      flushes.unshift(() => stage.flush(next));
      outlet = (piece) => stage.push(piece, next);
    }
    const second = outlet;
    this.#stages = stages;
    this.#push = (tokenId) => first.push(tokenId, second);
    this.#flushes = [() => first.flush(second), ...flushes];
  }

  /** Returns the end that a stage has found, if one has. */
  get end(): ChoiceEnd | null {
    for (let i = 0; i < this.#stages.length; i++) {
      const end = this.#stages[i]?.end ?? null;
      if (end !== null) return end;
    }
    return null;
  }

  push(tokenId: number): readonly OutputPiece[] {
    this.#push(tokenId);
    return this.#take();
  }

  /** Emits all text that the stages hold back. */
  flush(): readonly OutputPiece[] {
    for (const flush of this.#flushes) flush();
    return this.#take();
  }

  #take(): readonly OutputPiece[] {
    const pieces = this.#emitted;
    this.#emitted = null;
    return pieces ?? NO_PIECES;
  }
}
