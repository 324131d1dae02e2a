import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { THINK_CLOSE, THINK_OPEN } from './reasoning-splitter.ts';

/** Ids of the tokens that open and close thoughts; undefined if the tokenizer has none. */
export interface ReasoningTags {
  readonly open: number | undefined;
  readonly close: number | undefined;
  /** Token that opens an assistant message; tokens before the last one are history. */
  readonly assistant: number | undefined;
}

/** Counts the completion tokens between the first opening and the first closing tag. */
export class ReasoningCounter {
  readonly #tags: ReasoningTags;
  #phase: 'before' | 'inside' | 'after';
  #numTokens = 0;

  constructor(tags: ReasoningTags, options: { readonly isOpen: boolean }) {
    this.#tags = tags;
    this.#phase = options.isOpen ? 'inside' : 'before';
  }

  get numTokens(): number {
    return this.#numTokens;
  }

  /** Tells whether the next token belongs to the thoughts, or ends them. */
  get isInside(): boolean {
    return this.#phase === 'inside';
  }

  /** Returns the counter as it would be behind more tokens. */
  after(tokenIds: readonly number[]): ReasoningCounter {
    const copy = new ReasoningCounter(this.#tags, { isOpen: false });
    copy.#phase = this.#phase;
    copy.#numTokens = this.#numTokens;
    for (const id of tokenIds) copy.push(id);
    return copy;
  }

  push(tokenId: number): void {
    if (this.#phase === 'before' && tokenId === this.#tags.open) this.#phase = 'inside';
    else if (this.#phase === 'inside' && tokenId === this.#tags.close) this.#phase = 'after';
    else if (this.#phase === 'inside') this.#numTokens++;
  }
}

/** Tells whether the prompt ends inside the thoughts of the assistant's message that it opens. */
export function endsInReasoning(promptTokenIds: readonly number[], tags: ReasoningTags): boolean {
  if (tags.open === undefined) return false;
  const last = promptTokenIds.findLastIndex(
    (id) => id === tags.open || id === tags.close || id === tags.assistant,
  );
  return last !== -1 && promptTokenIds[last] === tags.open;
}

export function reasoningTags(vocabulary: Vocabulary): ReasoningTags {
  return {
    open: vocabulary.addedId(THINK_OPEN),
    close: vocabulary.addedId(THINK_CLOSE),
    assistant: vocabulary.addedId('<|assistant|>'),
  };
}
