import { tokenize } from '@huggingface/jinja';

type Token = ReturnType<typeof tokenize>[number];

/**
 * Reads a template's tokens with the settings of transformers. A test with arguments, which the
 * library's parser does not know, is rewritten as a filter with a name of its own.
 */
export function readTokens(source: string): Token[] {
  // Jinja reads every kind of line end as a newline.
  const text = source.replace(/\r\n?/g, '\n');
  if (/(?<!%|#)-\}\n/.test(text.replace(/-\}\}/g, ''))) {
    throw new SyntaxError('text that ends a line with "-}" is not supported');
  }
  const tokens = tokenize(text, { lstrip_blocks: true, trim_blocks: true });
  refuseExponents(tokens);
  return filtersForTests(tokens);
}

/** Refuses numbers such as 1e5 and 1_000, which the library reads as a number and a name. */
function refuseExponents(tokens: readonly Token[]): void {
  tokens.forEach(({ type, value }, i) => {
    const next = tokens[i + 1];
    if (type !== 'NumericLiteral' || next?.type !== 'Identifier') return;
    if (!/^(?:[eE]\d*|_[\d_]*)$/.test(next.value)) return;
    throw new SyntaxError(`the number "${value}${next.value}" is not supported`);
  });
}

/** A test that `readTokens` has written as a filter. */
export interface RewrittenTest {
  readonly name: string;
  readonly isNegated: boolean;
}

/** Returns the test that a filter's name stands for, if it does. */
export function testOf(filter: string): RewrittenTest | undefined {
  const match = /^is (not )?(.+)$/.exec(filter);
  if (match === null) return undefined;
  const [, negation, name = ''] = match;
  return { name, isNegated: negation !== undefined };
}

/** Words that follow a test without being its argument. */
const NO_ARGUMENT: ReadonlySet<string> = new Set('else or and if is not in recursive'.split(' '));

const OPENING: ReadonlySet<string> = new Set([
  'OpenParen',
  'OpenSquareBracket',
  'OpenCurlyBracket',
]);
const CLOSING: ReadonlySet<string> = new Set([
  'CloseParen',
  'CloseSquareBracket',
  'CloseCurlyBracket',
]);

function filtersForTests(tokens: readonly Token[]): Token[] {
  const written: Token[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === undefined) break;
    const found = isWord(token, 'is') ? testAt(tokens, i + 1) : undefined;
    if (found === undefined) {
      written.push(token);
      continue;
    }
    const inner = filtersForTests(tokens.slice(found.start, found.end));
    written.push(
      { type: 'Pipe', value: '|' },
      { type: 'Identifier', value: found.name },
      { type: 'OpenParen', value: '(' },
      ...inner,
      { type: 'CloseParen', value: ')' },
    );
    i = found.next - 1;
  }
  return written;
}

const isWord = (token: Token | undefined, word: string) =>
  token?.type === 'Identifier' && token.value === word;

/** Finds a test with arguments after `is`: its name, and where its arguments stand. */
function testAt(tokens: readonly Token[], start: number) {
  const isNegated = isWord(tokens[start], 'not');
  const at = isNegated ? start + 1 : start;
  const [test, argument] = [tokens[at], tokens[at + 1]];
  if (test?.type !== 'Identifier' || argument === undefined) return undefined;
  const name = `is ${isNegated ? 'not ' : ''}${test.value}`;
  if (argument.type === 'OpenParen') {
    const next = endOfGroup(tokens, at + 1);
    return { name, start: at + 2, end: next - 1, next };
  }
  const isArgument =
    argument.type === 'Identifier' ? !NO_ARGUMENT.has(argument.value) : isLiteral(argument);
  if (!isArgument) return undefined;
  const next = endOfOperand(tokens, at + 1);
  return { name, start: at + 1, end: next, next };
}

const isLiteral = ({ type }: Token) =>
  type === 'StringLiteral' ||
  type === 'NumericLiteral' ||
  type === 'OpenSquareBracket' ||
  type === 'OpenCurlyBracket';

/** Returns the index after the bracket that closes the one at `start`. */
function endOfGroup(tokens: readonly Token[], start: number): number {
  let depth = 0;
  for (let i = start; i < tokens.length; i++) {
    const type = tokens[i]?.type ?? '';
    if (OPENING.has(type)) depth++;
    if (CLOSING.has(type)) depth--;
    if (depth === 0) return i + 1;
  }
  throw new SyntaxError('a bracket is not closed');
}

/** Returns the index after a name or literal with its attributes, items and calls. */
function endOfOperand(tokens: readonly Token[], start: number): number {
  let end = OPENING.has(tokens[start]?.type ?? '') ? endOfGroup(tokens, start) : start + 1;
  for (;;) {
    const type = tokens[end]?.type;
    if (type === 'Dot') end += 2;
    else if (type === 'OpenParen' || type === 'OpenSquareBracket') end = endOfGroup(tokens, end);
    else return end;
  }
}
