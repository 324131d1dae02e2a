import type { TokenConstraint } from '#backbone/engine/token-constraint.ts';
import type { ReasoningTags } from '#backbone/output/reasoning-counter.ts';
import type { Grammar, Matcher } from '#native';

/** Facts about the model and the request by which an answer gets its form. */
export interface FormFacts {
  readonly grammar: Grammar;
  /** Rows of the decoder's head. */
  readonly numLogits: number;
  /** Tokens that end an answer whose form is complete; at least one. */
  readonly eosTokenIds: readonly number[];
  readonly tags: ReasoningTags;
  /** Whether the prompt ends within the thoughts. */
  readonly startsInReasoning: boolean;
  /** Whether the answer may begin with thoughts where the prompt has opened none. */
  readonly mayThink: boolean;
}

/** Where a token stands: before thoughts may begin, in them, or in the text that has the form. */
type Phase = 'start' | 'thoughts' | 'form';

/**
 * Lets an answer be a text of a grammar, with its thoughts in front. The thoughts are free, except
 * that an answer cannot end in them.
 */
export class FormConstraint implements TokenConstraint {
  readonly #facts: FormFacts;
  readonly #matcher: Matcher;
  /** `[num_drafts + 1]`: masks for the next token, and for those behind drafts. */
  readonly #masks: Uint32Array[] = [];
  #phase: Phase;
  /** True behind a token that the grammar does not allow: the answer is over. */
  #isLost = false;

  constructor(facts: FormFacts) {
    this.#facts = facts;
    this.#matcher = facts.grammar.createMatcher();
    const { startsInReasoning, mayThink, tags } = facts;
    const start = mayThink && tags.open !== undefined ? 'start' : 'form';
    this.#phase = startsInReasoning ? 'thoughts' : start;
  }

  mask(draftIds: readonly number[]): Uint32Array {
    const words = this.#wordsFor(draftIds.length);
    this.#after(draftIds, (phase, numRead) => {
      if (numRead < draftIds.length) words.fill(0xffffffff);
      else this.#fill(words, phase);
    });
    return words;
  }

  numAllowed(draftIds: readonly number[]): number {
    let numAllowed = 0;
    this.#after(draftIds, (_, numRead) => {
      numAllowed = numRead;
    });
    return numAllowed;
  }

  accept(tokenId: number): void {
    const next = this.#read(this.#phase, tokenId);
    if (next === undefined) this.#isLost = true;
    else this.#phase = next.phase;
  }

  /** Calls `look` as if drafts had been accepted, as far as they may follow. */
  #after(draftIds: readonly number[], look: (phase: Phase, numRead: number) => void): void {
    let phase = this.#phase;
    let numRead = 0;
    let numMatched = 0;
    for (const tokenId of draftIds) {
      const next = this.#isLost ? undefined : this.#read(phase, tokenId);
      if (next === undefined) break;
      phase = next.phase;
      numRead++;
      if (next.isMatched) numMatched++;
    }
    look(phase, numRead);
    this.#matcher.rollBack(numMatched);
  }

  /** Reads a token; returns undefined if it cannot follow. */
  #read(
    phase: Phase,
    tokenId: number,
  ): { readonly phase: Phase; readonly isMatched: boolean } | undefined {
    const { tags } = this.#facts;
    if (phase === 'thoughts') {
      return { phase: tokenId === tags.close ? 'form' : 'thoughts', isMatched: false };
    }
    if (phase === 'start' && tokenId === tags.open) return { phase: 'thoughts', isMatched: false };
    return this.#matcher.accept(tokenId) ? { phase: 'form', isMatched: true } : undefined;
  }

  #fill(words: Uint32Array, phase: Phase): void {
    const { eosTokenIds, tags } = this.#facts;
    if (this.#isLost) {
      words.fill(0);
      for (const id of eosTokenIds) allow(words, id);
    } else if (phase === 'thoughts') {
      words.fill(0xffffffff);
      for (const id of eosTokenIds) forbid(words, id);
    } else {
      this.#matcher.fillMask(words);
      if (phase === 'start' && tags.open !== undefined) allow(words, tags.open);
      if (this.#matcher.isComplete) for (const id of eosTokenIds) allow(words, id);
    }
  }

  #wordsFor(index: number): Uint32Array {
    const words = this.#masks[index] ?? new Uint32Array(Math.ceil(this.#facts.numLogits / 32));
    this.#masks[index] = words;
    return words;
  }
}

/** Makes the constraints of a request's choices, each of which follows a text of its own. */
export function formConstraints(facts: FormFacts): () => TokenConstraint {
  return () => new FormConstraint(facts);
}

function allow(words: Uint32Array, id: number): void {
  words[id >>> 5] = (words[id >>> 5] ?? 0) | (1 << (id & 31));
}

function forbid(words: Uint32Array, id: number): void {
  words[id >>> 5] = (words[id >>> 5] ?? 0) & ~(1 << (id & 31));
}
