/** Finds the end of a JSON value in a text that comes in pieces; what is no JSON may have any end. */
export class JsonScanner {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** True inside a number or a word, which only what follows it ends. */
  #isInWord = false;

  /**
   * Returns the index behind the value's last character, or -1 if the value goes on behind the text.
   * The first text begins with the value.
   */
  endIn(text: string, from: number): number {
    for (let i = from; i < text.length; i++) {
      const end = this.#read(text.charAt(i));
      if (end !== 'none') return end === 'here' ? i + 1 : i;
    }
    return -1;
  }

  /** Tells whether the value ends with a character, or has ended before it. */
  #read(char: string): 'none' | 'here' | 'before' {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (char === '\\') this.#isEscaped = true;
      else if (char === '"') {
        this.#isInString = false;
        if (this.#depth === 0) return 'here';
      }
      return 'none';
    }
    if (this.#depth === 0 && this.#isInWord && /[\s,}\]]/.test(char)) return 'before';
    switch (char) {
      case '"':
        this.#isInString = true;
        return 'none';
      case '{':
      case '[':
        this.#depth++;
        return 'none';
      case '}':
      case ']':
        this.#depth--;
        return this.#depth <= 0 ? 'here' : 'none';
      default:
        this.#isInWord = true;
        return 'none';
    }
  }
}
