import {
  type CharRange,
  chars,
  choice,
  type GrammarNode,
  type GrammarRules,
  LAST_CHAR,
  otherChars,
  repeat,
  rule,
  sequence,
  text,
} from './grammar-node.ts';
import { formRefusal } from './grammar-refusal.ts';

const MAX_DEPTH = 200;
const MAX_REPEAT = 10_000;

/** One token of a grammar's text. */
const TOKEN =
  /\s+|#[^\n]*|::=|[|()*+?.]|\{\s*(\d{1,9})\s*(?:(,)\s*(\d{1,9})?\s*)?\}|"(?:[^"\\\n]|\\[\s\S])*"|\[(?:[^\]\\\n]|\\[\s\S])*\]|[a-zA-Z_][\w-]*/y;

const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0' };

interface Token {
  readonly text: string;
  readonly line: number;
  /** Bounds of a repetition in braces. */
  readonly bounds?: { readonly min: number; readonly max: number };
}

/** Reads a grammar in GBNF, as llama.cpp and XGrammar write it; its text begins with the rule `root`. */
export function gbnfRules(source: string): GrammarRules {
  return new GbnfReader(tokensOf(source)).read();
}

function refusal(line: number, message: string) {
  return formRefusal('grammar', '', `line ${line}: ${message}`);
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < source.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(source);
    if (found === null) {
      throw refusal(line, `cannot be read from ${JSON.stringify(source.slice(at, at + 20))} on`);
    }
    const [token, min, comma, max] = found;
    if (!/^[\s#]/.test(token)) {
      const open = comma === undefined ? Number(min) : Number.POSITIVE_INFINITY;
      const bounds = { min: Number(min), max: max === undefined ? open : Number(max) };
      tokens.push(min === undefined ? { text: token, line } : { text: token, line, bounds });
    }
    line += token.split('\n').length - 1;
  }
  return tokens;
}

class GbnfReader {
  readonly #tokens: readonly Token[];
  readonly #rules = new Map<string, GrammarNode>();
  readonly #references: Token[] = [];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  read(): GrammarRules {
    while (this.#at < this.#tokens.length) this.#readRule();
    const unknown = this.#references.find((one) => !this.#rules.has(one.text));
    if (unknown !== undefined) {
      throw refusal(unknown.line, `the rule "${unknown.text}" is not defined`);
    }
    if (!this.#rules.has('root')) throw refusal(1, 'the rule "root" is not defined');
    return { root: rule('root'), rules: this.#rules };
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { text: '', line: this.#tokens.at(-1)?.line ?? 1 };
  }

  #take(): Token {
    const token = this.#next;
    this.#at++;
    return token;
  }

  #readRule(): void {
    const name = this.#take();
    if (!/^[a-zA-Z_]/.test(name.text)) throw refusal(name.line, 'expected the name of a rule');
    if (this.#take().text !== '::=') throw refusal(name.line, `expected "::=" behind ${name.text}`);
    if (this.#rules.has(name.text)) throw refusal(name.line, `${name.text} is defined twice`);
    this.#rules.set(name.text, this.#readChoice());
  }

  #readChoice(): GrammarNode {
    if (++this.#depth > MAX_DEPTH) {
      throw refusal(this.#next.line, `more than ${MAX_DEPTH} groups within each other`);
    }
    const nodes = [this.#readSequence()];
    while (this.#next.text === '|') {
      this.#at++;
      nodes.push(this.#readSequence());
    }
    this.#depth--;
    return choice(...nodes);
  }

  #readSequence(): GrammarNode {
    const nodes: GrammarNode[] = [];
    while (!this.#endsSequence()) nodes.push(this.#readRepeat(this.#readAtom()));
    return sequence(...nodes);
  }

  #endsSequence(): boolean {
    const { text: next } = this.#next;
    // A name in front of "::=" begins the next rule.
    return (
      next === '' || next === '|' || next === ')' || this.#tokens[this.#at + 1]?.text === '::='
    );
  }

  #readRepeat(atom: GrammarNode): GrammarNode {
    let node = atom;
    for (let numRepeats = 0; ; numRepeats++) {
      const { text: next, bounds, line } = this.#next;
      if (next === '*') node = repeat(node, 0);
      else if (next === '+') node = repeat(node, 1);
      else if (next === '?') node = repeat(node, 0, 1);
      else if (bounds !== undefined) node = this.#repeated(node, bounds, line);
      else return node;
      // Each is a form within the next one, as a group is.
      if (numRepeats === MAX_DEPTH)
        throw refusal(line, `more than ${MAX_DEPTH} repetitions of a part`);
      this.#at++;
    }
  }

  #repeated(
    node: GrammarNode,
    { min, max }: { readonly min: number; readonly max: number },
    line: number,
  ): GrammarNode {
    const largest = max === Number.POSITIVE_INFINITY ? min : max;
    if (min <= max && largest <= MAX_REPEAT) return repeat(node, min, max);
    throw refusal(line, `a repetition must be in order and at most ${MAX_REPEAT}`);
  }

  #readAtom(): GrammarNode {
    const token = this.#take();
    const { text: first, line } = token;
    if (first === '(') {
      const node = this.#readChoice();
      if (this.#take().text !== ')') throw refusal(line, 'a group that does not end');
      return node;
    }
    if (first.startsWith('"')) return text(charsOf(first.slice(1, -1), line).join(''));
    if (first.startsWith('[')) return classOf(first.slice(1, -1), line);
    if (first === '.') return chars([0, LAST_CHAR]);
    if (/^[a-zA-Z_]/.test(first)) {
      this.#references.push(token);
      return rule(first);
    }
    throw refusal(line, `unexpected ${JSON.stringify(first)}`);
  }
}

/** Returns the characters of a text with escapes; an escaped one is two where it matters. */
function charsOf(source: string, line: number): string[] {
  return piecesOf(source, line).map(({ char }) => char);
}

interface Piece {
  readonly char: string;
  readonly isEscaped: boolean;
}

function piecesOf(source: string, line: number): Piece[] {
  const pieces: Piece[] = [];
  const pattern = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/y;
  for (let at = 0; at < source.length; ) {
    if (source[at] !== '\\') {
      const char = String.fromCodePoint(source.codePointAt(at) ?? 0);
      pieces.push({ char, isEscaped: false });
      at += char.length;
      continue;
    }
    pattern.lastIndex = at;
    const [whole = '', x, u, long, letter = ''] = pattern.exec(source) ?? [];
    const code = Number.parseInt(x ?? u ?? long ?? '', 16);
    if (code > LAST_CHAR || (code >= 0xd800 && code <= 0xdfff) || whole === '') {
      throw refusal(line, 'an escape that is no character');
    }
    const char = Number.isNaN(code) ? (ESCAPED[letter] ?? letter) : String.fromCodePoint(code);
    pieces.push({ char, isEscaped: true });
    at += whole.length;
  }
  return pieces;
}

function classOf(source: string, line: number): GrammarNode {
  const pieces = piecesOf(source, line);
  const [first] = pieces;
  const isNegated = first?.char === '^' && !first.isEscaped;
  if (isNegated) pieces.shift();
  const ranges: CharRange[] = [];
  const codeOf = (piece: Piece | undefined) => piece?.char.codePointAt(0) ?? 0;
  for (let i = 0; i < pieces.length; i++) {
    const dash = pieces[i + 1];
    const isRange = dash?.char === '-' && !dash.isEscaped && i + 2 < pieces.length;
    const from = codeOf(pieces[i]);
    const to = isRange ? codeOf(pieces[i + 2]) : from;
    if (from > to) throw refusal(line, 'a range that is out of order');
    ranges.push([from, to]);
    if (isRange) i += 2;
  }
  return chars(...(isNegated ? otherChars(ranges) : ranges));
}
