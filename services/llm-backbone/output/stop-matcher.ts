import { type PatternAutomaton, sharedAutomaton } from '#backbone/engine/pattern-automaton.ts';
import type { ChoiceEnd, Emit, OutputPiece, OutputStage } from './output-stage.ts';

export interface StopMatcherOptions {
  readonly includeStopString: boolean;
  /** Asked for each piece; while it returns false, text passes and takes no part in a match. */
  readonly mayStop: () => boolean;
}

/**
 * Finds stop strings in text that comes in pieces, wherever the pieces are cut. The match that is
 * complete first wins; of two complete at the same character, the longer wins. Holds back only text
 * that may still become a stop string.
 */
export class StopMatcher implements OutputStage {
  readonly #stopStrings: readonly string[];
  readonly #options: StopMatcherOptions;
  readonly #automaton: PatternAutomaton;
  /** State of the automaton after the text. */
  #state = 0;
  #held = '';
  #end: ChoiceEnd | null = null;

  constructor(stopStrings: readonly string[], options: StopMatcherOptions) {
    this.#stopStrings = stopStrings;
    this.#options = options;
    this.#automaton = sharedAutomaton(stopStrings, charCodes);
  }

  /** Returns the stop string that was completed, if any; text after it does not count. */
  get end(): ChoiceEnd | null {
    return this.#end;
  }

  push(piece: OutputPiece, emit: Emit): void {
    if (this.#end !== null) return;
    if (!this.#options.mayStop()) {
      emit(piece);
      return;
    }
    const text = this.#held + piece.text;
    for (let i = this.#held.length; i < text.length; i++) {
      const stopString = this.#advance(text.charCodeAt(i));
      if (stopString === null) continue;
      this.#held = '';
      this.#end = { reason: 'stop', stopString };
      const shown = this.#options.includeStopString ? i + 1 : i + 1 - stopString.length;
      emitText(text.slice(0, shown), emit);
      return;
    }
    const numCertain = text.length - this.#automaton.depth(this.#state);
    this.#held = text.slice(numCertain);
    emitText(text.slice(0, numCertain), emit);
  }

  /** Emits text that was held back and turned out not to be a stop string. */
  flush(emit: Emit): void {
    emitText(this.#held, emit);
    this.#held = '';
  }

  /** Returns the longest stop string that a character completes; null if there is none. */
  #advance(char: number): string | null {
    this.#state = this.#automaton.next(this.#state, char);
    let longest: string | null = null;
    this.#automaton.forEachEnd(this.#state, (index) => {
      longest ??= this.#stopStrings[index] ?? null;
    });
    return longest;
  }
}

function emitText(text: string, emit: Emit): void {
  if (text !== '') emit({ channel: 'content', text });
}

function charCodes(text: string): Uint16Array {
  return Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
}
