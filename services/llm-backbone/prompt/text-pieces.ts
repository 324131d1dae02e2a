import type { AddedToken } from '#backbone/checkpoint/vocabulary.ts';
import type { Origin, Text } from '#backbone/template/text.ts';

/** What added tokens that stand in content become: control tokens, or the text they are. */
export type ContentTokens = 'text' | 'allow';

/** Characters of a text after which the next place is taken to cut it. */
const PIECE_CHARS = 32_768;

/** Most characters that are searched for such a place. */
const MAX_SEARCH_CHARS = 131_072;

/**
 * The end of a word or number before something that is not part of it: every pre-tokenizer in use
 * ends a piece of its own there, whatever stands before or after.
 */
const WORD_END = /(?<=\p{L})(?=[^\p{L}\p{M}'’])|(?<=\p{N})(?=[^\p{N}\p{M}'’])/u;

/** Where an added token may be cut, so that neither half is one. */
const INNER_WORD_END = /(?<=[\p{L}\p{N}])(?=[^\p{L}\p{N}\p{M}'’])/u;

/** Cuts texts into pieces that give the ids of the whole when each is encoded by itself. */
export class TextCutter {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | null;
  readonly #longest: number;
  readonly #contentTokens: ContentTokens;

  constructor(tokens: readonly AddedToken[], contentTokens: ContentTokens) {
    this.#tokens = new Map(tokens.map((token) => [token.content, token]));
    this.#pattern = patternOf(tokens);
    this.#longest = Math.max(0, ...tokens.map(({ content }) => content.length));
    this.#contentTokens = contentTokens;
  }

  /**
   * Returns the pieces of a text in order. Added tokens that content spells out are cut in two, so
   * that they are encoded as text; all others lie whole in one piece.
   */
  *pieces(text: Text): Generator<string> {
    const { value } = text;
    let start = 0;
    while (start < value.length) {
      const end = this.#pieceEnd(text, start);
      yield value.slice(start, end);
      start = end;
    }
  }

  #pieceEnd(text: Text, start: number): number {
    const { value } = text;
    let end = wordEnd(value, start + PIECE_CHARS);
    if (this.#pattern === null) return end;
    // A token may begin before the end of the piece and end after it.
    const window = value.slice(start, end + this.#longest);
    this.#pattern.lastIndex = 0;
    for (;;) {
      const match = this.#pattern.exec(window);
      if (match === null) return end;
      const [content] = match;
      const at = start + match.index;
      if (at >= end) return end;
      if (!this.#isControl(text, at, content)) return at + innerCut(content, this.#pattern);
      end = Math.max(end, at + content.length);
    }
  }

  /** Tells whether an added token that stands in a text acts as one. */
  #isControl(text: Text, at: number, content: string): boolean {
    if (this.#contentTokens === 'allow') return true;
    const token = this.#tokens.get(content);
    if (token === undefined) return true;
    const { spans } = text.slice(at, at + content.length);
    return spans.every(({ origin }) => maySpell(origin, token));
  }
}

/**
 * Tells who may write a token as such. The template may write each; an earlier answer those that
 * answers show; everyone those that are words, such as `/nothink`, which users are meant to write.
 */
function maySpell(origin: Origin, { content, special }: AddedToken): boolean {
  if (origin === 'template') return true;
  if (special) return false;
  return origin === 'answer' || /^\W?\w+$/.test(content);
}

/** Finds the longest added token at each place. */
function patternOf(tokens: readonly AddedToken[]): RegExp | null {
  if (tokens.length === 0) return null;
  const longestFirst = tokens
    .map(({ content }) => content)
    .sort((a, b) => b.length - a.length)
    .map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  return new RegExp(longestFirst.join('|'), 'g');
}

function innerCut(content: string, pattern: RegExp): number {
  const at = INNER_WORD_END.exec(content)?.index ?? 0;
  const isFree = (half: string) => half.search(pattern) === -1;
  const isGood = at > 0 && isFree(content.slice(0, at)) && isFree(content.slice(at));
  return isGood ? at : String.fromCodePoint(content.codePointAt(0) ?? 0).length;
}

/** Returns the first end of a word at or after a place, or the end of the text. */
function wordEnd(value: string, from: number): number {
  if (from >= value.length) return value.length;
  const most = from + MAX_SEARCH_CHARS;
  // The character before the place belongs to the search.
  const found = WORD_END.exec(value.slice(from - 1, most));
  if (found !== null) return from - 1 + found.index;
  if (most >= value.length) return value.length;
  // No one writes a word of 100,000 characters; it is cut, so that memory stays bounded.
  const isPair = /[\udc00-\udfff]/.test(value[most] ?? '');
  return isPair ? most + 1 : most;
}
