import { type CharRange, chars, type GrammarNode, LAST_CHAR, otherChars } from './grammar-node.ts';
import { type RegexNode, withoutLooks } from './look-ahead.ts';

/** Why an expression cannot be a form, with the place in it. */
export class RegexFault extends Error {
  constructor(message: string, at: number) {
    super(`${message} at character ${at + 1}`);
    this.name = 'RegexFault';
  }
}

/** Most groups within each other. */
const MAX_DEPTH = 200;
/** Most look-aheads: each may write out anew what follows it. */
const MAX_LOOKS = 8;
/** Largest number of a repetition. */
const MAX_REPEAT = 10_000;

const DIGITS: readonly CharRange[] = [[0x30, 0x39]];
const WORD: readonly CharRange[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SPACE: readonly CharRange[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: readonly CharRange[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];

const CLASSES: Readonly<Record<string, readonly CharRange[]>> = {
  d: DIGITS,
  D: otherChars(DIGITS),
  w: WORD,
  W: otherChars(WORD),
  s: SPACE,
  S: otherChars(SPACE),
};

const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, v: 11, f: 12, '0': 0 };

/** Makes what stands for characters; ranges may be changed on the way, as JSON's escapes need. */
export type MakeChars = (ranges: readonly CharRange[]) => GrammarNode;

/**
 * Reads a regular expression of ECMAScript as a form that takes exactly its texts. `^` at the
 * beginning and `$` at the end mean nothing more. Throws RegexFault for what cannot be a form:
 * look-behind, look-ahead that is repeated, back-references, boundaries, properties of Unicode.
 */
export function regexNode(
  pattern: string,
  makeChars: MakeChars = (ranges) => chars(...ranges),
): GrammarNode {
  return new RegexReader(pattern, { makeChars, isSearch: false }).read();
}

/** Reads a regular expression as a form that takes the texts in which it is found. */
export function searchNode(pattern: string, makeChars: MakeChars): GrammarNode {
  return new RegexReader(pattern, { makeChars, isSearch: true }).read();
}

class RegexReader {
  readonly #chars: readonly string[];
  readonly #makeChars: MakeChars;
  readonly #isSearch: boolean;
  readonly #anyText: GrammarNode;
  #at = 0;
  #depth = 0;
  /** Depth of the innermost look-ahead; 0: in none. */
  #lookDepth = 0;
  #numLooks = 0;

  constructor(
    pattern: string,
    { makeChars, isSearch }: { readonly makeChars: MakeChars; readonly isSearch: boolean },
  ) {
    this.#chars = [...pattern];
    this.#makeChars = makeChars;
    this.#isSearch = isSearch;
    const anyChar = makeChars([[0, LAST_CHAR]]);
    this.#anyText = { kind: 'repeat', node: anyChar, min: 0, max: Number.POSITIVE_INFINITY };
  }

  read(): GrammarNode {
    const node = this.#readChoice();
    if (this.#at < this.#chars.length) throw this.#fault('an unexpected ")"');
    return withoutLooks(node, () =>
      this.#fault('a look-ahead that is repeated, which is not supported,'),
    );
  }

  #peek(offset = 0): string {
    return this.#chars[this.#at + offset] ?? '';
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #fault(message: string): RegexFault {
    return new RegexFault(message, Math.min(this.#at, this.#chars.length));
  }

  #readChoice(): RegexNode {
    if (++this.#depth > MAX_DEPTH)
      throw this.#fault(`more than ${MAX_DEPTH} groups within each other`);
    const nodes = [this.#readSequence()];
    while (this.#take('|')) nodes.push(this.#readSequence());
    this.#depth--;
    return nodes.length === 1 && nodes[0] !== undefined ? nodes[0] : { kind: 'choice', nodes };
  }

  #readSequence(): RegexNode {
    const nodes: RegexNode[] = [];
    const isAnchored = this.#isAtBeginning() && this.#take('^');
    if (isAnchored && this.#startsRepeat()) throw this.#fault('nothing to repeat');
    const isLook = this.#depth === this.#lookDepth;
    let isEnded = false;
    while (this.#at < this.#chars.length && this.#peek() !== '|' && this.#peek() !== ')') {
      const isLookEnd = isLook && /^[|)]$/.test(this.#peek(1));
      isEnded = this.#peek() === '$' && (isLookEnd || this.#isAtEnd());
      if (isEnded) {
        this.#at++;
        break;
      }
      nodes.push(this.#readRepeat(this.#readAtom()));
    }
    if (this.#isSearch && this.#depth > 1 && (isAnchored || (isEnded && !isLook))) {
      throw this.#fault('a "^" or "$" within a group, which is not supported here,');
    }
    const isWhole = this.#isSearch && this.#depth === 1;
    if (isWhole && !isAnchored) nodes.unshift(this.#anyText);
    if ((isWhole || isLook) && !isEnded) nodes.push(this.#anyText);
    return { kind: 'sequence', nodes };
  }

  /** Tells whether nothing that takes characters stands in front of this place. */
  #isAtBeginning(): boolean {
    let at = this.#at;
    // Branches and groups that the expression begins with.
    for (let one = this.#chars[at - 1] ?? ''; /^[(^:=!?]$/.test(one); ) {
      if (one === '?' && this.#chars[at - 2] !== '(') return false;
      if (/[:=!]/.test(one) && this.#chars[at - 2] !== '?') return false;
      one = this.#chars[--at - 1] ?? '';
    }
    return at === 0 || (this.#depth === 1 && this.#chars[at - 1] === '|');
  }

  /** Tells whether nothing that takes characters follows a `$` at this place. */
  #isAtEnd(): boolean {
    let at = this.#at + 1;
    while (this.#chars[at] === ')' || this.#chars[at] === '$') at++;
    return at === this.#chars.length || (this.#depth === 1 && this.#chars[at] === '|');
  }

  #startsRepeat(): boolean {
    const next = this.#peek();
    return next === '*' || next === '+' || next === '?' || this.#readBounds(false) !== undefined;
  }

  #readRepeat(node: RegexNode): RegexNode {
    const bounds = this.#readTimes();
    if (bounds === undefined) return node;
    // A lazy repetition takes the same texts.
    this.#take('?');
    if (this.#startsRepeat()) throw this.#fault('nothing to repeat');
    return { kind: 'repeat', node, ...bounds };
  }

  #readTimes(): { readonly min: number; readonly max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take('?')) return { min: 0, max: 1 };
    return this.#readBounds(true);
  }

  #readBounds(moves: boolean): { readonly min: number; readonly max: number } | undefined {
    if (this.#peek() !== '{') return undefined;
    const end = this.#chars.indexOf('}', this.#at);
    const found = /^\{(\d{1,9})(,)?(\d{1,9})?$/.exec(this.#chars.slice(this.#at, end).join(''));
    if (end === -1 || found === null) return undefined;
    const min = Number(found[1]);
    const open = found[2] === undefined ? min : Number.POSITIVE_INFINITY;
    const max = found[3] === undefined ? open : Number(found[3]);
    if (min > max) throw this.#fault('a repetition whose numbers are out of order');
    if (Math.max(min, max === Number.POSITIVE_INFINITY ? 0 : max) > MAX_REPEAT) {
      throw this.#fault(`a repetition of more than ${MAX_REPEAT}`);
    }
    if (moves) this.#at = end + 1;
    return { min, max };
  }

  #readAtom(): RegexNode {
    const char = this.#peek();
    switch (char) {
      case '(':
        return this.#readGroup();
      case '[':
        return this.#makeChars(this.#readClass());
      case '.':
        this.#at++;
        return this.#makeChars(otherChars(LINE_ENDS));
      case '\\':
        return this.#makeChars(this.#readEscape(false));
      case '^':
        throw this.#fault('a "^" that is not at the beginning');
      case '$':
        throw this.#fault('a "$" that is not at the end');
      case '*':
      case '+':
      case '?':
        throw this.#fault('nothing to repeat');
      default: {
        if (this.#readBounds(false) !== undefined) throw this.#fault('nothing to repeat');
        this.#at++;
        const code = char.codePointAt(0) ?? 0;
        return this.#makeChars([[code, code]]);
      }
    }
  }

  #readGroup(): RegexNode {
    const start = this.#at;
    this.#at++;
    const look = this.#take('?') ? this.#readKind() : null;
    const outside = this.#lookDepth;
    if (look !== null) this.#lookDepth = this.#depth + 1;
    const node = this.#readChoice();
    this.#lookDepth = outside;
    if (!this.#take(')')) throw new RegexFault('a group that does not end', start);
    return look === null ? node : { kind: 'look', node, isNegated: look === '!' };
  }

  /** Reads what stands behind the "(?" of a group; returns how it looks ahead, if it does. */
  #readKind(): '=' | '!' | null {
    if (this.#take(':')) return null;
    if (this.#peek() === '<' && this.#peek(1) !== '=' && this.#peek(1) !== '!') {
      const end = this.#chars.indexOf('>', this.#at);
      if (end === -1) throw this.#fault('a group whose name does not end');
      this.#at = end + 1;
      return null;
    }
    const look = this.#take('=') ? '=' : this.#take('!') ? '!' : null;
    if (look === null) throw this.#fault('look-behind or flags, which are not supported,');
    if (++this.#numLooks > MAX_LOOKS) throw this.#fault(`more than ${MAX_LOOKS} look-aheads`);
    return look;
  }

  #readClass(): CharRange[] {
    const start = this.#at;
    this.#at++;
    const isNegated = this.#take('^');
    const ranges: CharRange[] = [];
    while (this.#peek() !== ']') {
      if (this.#at >= this.#chars.length) throw new RegexFault('a class that does not end', start);
      const first = this.#readMember();
      const isRange = this.#peek() === '-' && this.#peek(1) !== ']' && this.#peek(1) !== '';
      if (!isRange) {
        ranges.push(...first);
        continue;
      }
      this.#at++;
      const last = this.#readMember();
      ranges.push(this.#rangeOf(first, last));
    }
    this.#at++;
    return isNegated ? otherChars(ranges) : ranges;
  }

  #rangeOf(first: readonly CharRange[], last: readonly CharRange[]): CharRange {
    const from = first.length === 1 ? first[0] : undefined;
    const to = last.length === 1 ? last[0] : undefined;
    if (from === undefined || to === undefined || from[0] !== from[1] || to[0] !== to[1]) {
      throw this.#fault('a range between classes');
    }
    if (from[0] > to[0]) throw this.#fault('a range that is out of order');
    return [from[0], to[0]];
  }

  #readMember(): readonly CharRange[] {
    if (this.#peek() === '\\') return this.#readEscape(true);
    const code = this.#peek().codePointAt(0) ?? 0;
    this.#at++;
    return [[code, code]];
  }

  #readEscape(isInClass: boolean): readonly CharRange[] {
    this.#at++;
    const char = this.#peek();
    if (char === '') throw this.#fault('a "\\" at the end');
    const named = Object.hasOwn(CLASSES, char) ? CLASSES[char] : undefined;
    const control = Object.hasOwn(CONTROLS, char) ? CONTROLS[char] : undefined;
    if (named !== undefined) {
      this.#at++;
      return named;
    }
    if (char === 'b' && isInClass) return this.#oneChar(8);
    if (char === '0' && /\d/.test(this.#peek(1))) throw this.#fault('an octal escape');
    if (control !== undefined) return this.#oneChar(control);
    if (char === 'x') return this.#hexChar(2);
    if (char === 'u') return this.#peek(1) === '{' ? this.#bracedChar() : this.#unicodeChar();
    if (char === 'c') return this.#controlChar();
    if (/[1-9k]/.test(char)) throw this.#fault('a back-reference, which is not supported,');
    if (/[bB]/.test(char)) throw this.#fault('a boundary of words, which is not supported,');
    if (/[pP]/.test(char)) throw this.#fault('a property of Unicode, which is not supported,');
    if (/[a-zA-Z]/.test(char)) throw this.#fault(`an unknown escape "\\${char}"`);
    return this.#oneChar(char.codePointAt(0) ?? 0);
  }

  #oneChar(code: number): CharRange[] {
    this.#at++;
    return [[code, code]];
  }

  #controlChar(): CharRange[] {
    const letter = this.#peek(1);
    if (!/^[a-zA-Z]$/.test(letter)) throw this.#fault('an escape that is not complete');
    this.#at++;
    return this.#oneChar((letter.codePointAt(0) ?? 0) % 32);
  }

  #hexChar(numDigits: number): CharRange[] {
    const digits = this.#chars.slice(this.#at + 1, this.#at + 1 + numDigits).join('');
    if (!new RegExp(`^[0-9a-fA-F]{${numDigits}}$`).test(digits)) {
      throw this.#fault('an escape that is not complete');
    }
    this.#at += numDigits;
    return this.#oneChar(Number.parseInt(digits, 16));
  }

  #unicodeChar(): CharRange[] {
    const [[high] = [0]] = this.#hexChar(4);
    if (high < 0xd800 || high > 0xdbff || this.#peek() !== '\\' || this.#peek(1) !== 'u') {
      return [[high, high]];
    }
    this.#at++;
    const [[low] = [0]] = this.#hexChar(4);
    if (low < 0xdc00 || low > 0xdfff) throw this.#fault('half a pair of surrogates');
    const code = 0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00);
    return [[code, code]];
  }

  #bracedChar(): CharRange[] {
    const end = this.#chars.indexOf('}', this.#at);
    const digits = this.#chars.slice(this.#at + 2, end).join('');
    const code = Number.parseInt(digits, 16);
    if (end === -1 || !/^[0-9a-fA-F]{1,6}$/.test(digits) || code > LAST_CHAR) {
      throw this.#fault('an escape that is not complete');
    }
    this.#at = end;
    return this.#oneChar(code);
  }
}

/** Returns bounds of the numbers of characters that the texts of a form have. */
export function lengthsOf(node: GrammarNode): { readonly min: number; readonly max: number } {
  switch (node.kind) {
    case 'text': {
      const { length } = [...node.text];
      return { min: length, max: length };
    }
    case 'chars':
      return { min: 1, max: 1 };
    case 'sequence': {
      const parts = node.nodes.map(lengthsOf);
      return {
        min: parts.reduce((sum, { min }) => sum + min, 0),
        max: parts.reduce((sum, { max }) => sum + max, 0),
      };
    }
    case 'choice': {
      const parts = node.nodes.map(lengthsOf);
      return {
        min: Math.min(...parts.map(({ min }) => min)),
        max: Math.max(...parts.map(({ max }) => max)),
      };
    }
    case 'repeat': {
      const { min, max } = lengthsOf(node.node);
      return { min: min * node.min, max: max === 0 ? 0 : max * node.max };
    }
    case 'both':
    case 'except':
      return lengthsOf(node.node);
    case 'machine':
    case 'rule':
    case 'without':
      return { min: 0, max: Number.POSITIVE_INFINITY };
  }
}
