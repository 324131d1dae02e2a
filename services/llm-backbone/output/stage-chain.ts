import type { ChoiceEnd, Emit, OutputStages, TextPiece } from './output-stage.ts';

const NO_PIECES: readonly TextPiece[] = [];

/** Runs stages one behind the other: token ids go in, what the last stage emits comes out. */
export class StageChain {
  readonly #stages: OutputStages;
  readonly #push: (tokenId: number) => void;
  /** By stage: flushes it into the next one. */
  readonly #flushes: readonly (() => void)[];
  /** What the last stage has emitted during the call. */
  #emitted: TextPiece[] | null = null;

  constructor(stages: OutputStages) {
    const [first, ...others] = stages;
    const flushes: (() => void)[] = [];
    let outlet: Emit = (piece) => {
      // Most calls emit one piece; a list that starts empty would reserve room for many.
      if (this.#emitted === null) this.#emitted = [piece];
      else this.#emitted.push(piece);
    };
    // From the last to the first: a stage is linked to the one behind it once, not for each token.
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

  /** The end that a stage has found, if one has. */
  get end(): ChoiceEnd | null {
    for (let i = 0; i < this.#stages.length; i++) {
      const end = this.#stages[i]?.end ?? null;
      if (end !== null) return end;
    }
    return null;
  }

  push(tokenId: number): readonly TextPiece[] {
    this.#push(tokenId);
    return this.#take();
  }

  /** Lets go of all that the stages hold back. */
  flush(): readonly TextPiece[] {
    for (const flush of this.#flushes) flush();
    return this.#take();
  }

  #take(): readonly TextPiece[] {
    const pieces = this.#emitted;
    this.#emitted = null;
    return pieces ?? NO_PIECES;
  }
}
