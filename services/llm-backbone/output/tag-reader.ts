/** Text that was read, and the tag that ended it; without a tag there may be more of it. */
export interface TaggedText {
  readonly text: string;
  readonly tag: string | null;
}

/** A text that comes in pieces and is read from tag to tag, wherever the pieces are cut. */
export class TagReader {
  #text = '';

  add(text: string): void {
    this.#text += text;
  }

  /**
   * Takes the text in front of the first of the tags, and the tag. If there is none, takes the text
   * that cannot be the beginning of one.
   */
  take(tags: readonly string[]): TaggedText {
    const text = this.#text;
    let [at, found]: [number, string | null] = [text.length, null];
    for (const tag of tags) {
      const index = text.indexOf(tag);
      if (index !== -1 && index < at) [at, found] = [index, tag];
    }
    if (found === null) at -= Math.max(...tags.map((tag) => overlap(text, tag)));
    this.#text = text.slice(at + (found?.length ?? 0));
    return { text: text.slice(0, at), tag: found };
  }

  /** Takes all text at hand. */
  takeAll(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  /** Puts text back in front of what has not been taken. */
  putBack(text: string): void {
    this.#text = text + this.#text;
  }
}

/** Returns the length of the longest end of `text` that is a proper beginning of `word`. */
function overlap(text: string, word: string): number {
  for (let length = Math.min(text.length, word.length - 1); length > 0; length--) {
    if (text.endsWith(word.slice(0, length))) return length;
  }
  return 0;
}
