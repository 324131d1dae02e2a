import {
  type CharRange,
  chars,
  choice,
  commonChars,
  type GrammarNode,
  LAST_CHAR,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from '../grammar-node.ts';
import { regexNode, searchNode } from '../regex.ts';

/** Characters that stand for themselves within a text of JSON. */
const PLAIN: readonly CharRange[] = [
  [0x20, 0x21],
  [0x23, 0x5b],
  [0x5d, 0x10ffff],
];

/** Letters of escapes with the characters that they stand for. */
const ESCAPES: Readonly<Record<string, number>> = {
  '"': 0x22,
  '\\': 0x5c,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
};

/** Most digits of a number without bounds: as many as a double keeps. */
export const MAX_DIGITS = 15;

const DIGIT = chars([0x30, 0x39]);

/**
 * Space between the parts of JSON: none, one space, or a line end with up to 32 spaces. Without a
 * bound, a model may write nothing else.
 */
const SPACE = rule('json space');

/** Names of the rules of `JSON_RULES`. */
const STRING = 'json string';
const NUMBER = 'json number';
const VALUE = 'json value';
const OBJECT = 'json object';

const ANY_CHAR = choice(
  chars(...PLAIN),
  regexNode('\\\\(["\\\\/bfnrt]|u([0-9a-cA-CefEF][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2})'),
);

export const anyString = rule(STRING);
export const anyValue = rule(VALUE);
export const anyObject = rule(OBJECT);
export const anyNumber = rule(NUMBER);
export const anyInteger = sequence(
  optional(text('-')),
  choice(text('0'), sequence(chars([0x31, 0x39]), repeat(DIGIT, 0, MAX_DIGITS - 1))),
);

/** Forms of any JSON, for each grammar that refers to them. */
export const JSON_RULES: ReadonlyMap<string, GrammarNode> = new Map([
  [SPACE.name, optional(choice(text(' '), sequence(text('\n'), repeat(text(' '), 0, 32))))],
  [STRING, quoted(repeat(ANY_CHAR, 0))],
  [
    NUMBER,
    sequence(
      anyInteger,
      optional(sequence(text('.'), repeat(DIGIT, 1, MAX_DIGITS))),
      // Three digits would lead beyond the numbers of JavaScript.
      optional(sequence(chars([0x45, 0x45], [0x65, 0x65]), regexNode('[+-]?[0-9]{1,2}'))),
    ),
  ],
  [OBJECT, objectOf([member(anyString, anyValue)])],
  [
    VALUE,
    choice(
      anyString,
      anyNumber,
      anyObject,
      listOf(anyValue, 0, Number.POSITIVE_INFINITY),
      text('true'),
      text('false'),
      text('null'),
    ),
  ],
]);

/** Makes a text of JSON of what stands between its quotes. */
export function quoted(content: GrammarNode): GrammarNode {
  return sequence(text('"'), content, text('"'));
}

/** Makes a text of so many characters. */
export function stringOfLength(min: number, max: number): GrammarNode {
  return quoted(repeat(ANY_CHAR, min, max));
}

/** Makes what stands between the quotes of texts that match an expression; throws RegexFault. */
export function matchingText(pattern: string): GrammarNode {
  return regexNode(pattern, writtenChars);
}

/** Makes what stands between the quotes of texts in which an expression is found; throws RegexFault. */
export function searchedText(pattern: string): GrammarNode {
  return searchNode(pattern, writtenChars);
}

/** Makes what stands between the quotes of any text of so many characters. */
export function writtenText(min = 0, max = Number.POSITIVE_INFINITY): GrammarNode {
  return repeat(writtenChars([[0, LAST_CHAR]]), min, max);
}

/**
 * Returns how characters are written within a text of JSON, each in one way: so forms of written
 * texts have in common what the texts have.
 */
function writtenChars(ranges: readonly CharRange[]): GrammarNode {
  const plain = commonChars(ranges, PLAIN);
  const has = (code: number) => ranges.some(([first, last]) => first <= code && code <= last);
  const escaped = Object.entries(ESCAPES).filter(([, code]) => has(code));
  const controls = [];
  for (let code = 0; code < 0x20; code++) {
    if (has(code) && !Object.values(ESCAPES).includes(code)) {
      controls.push(text(`\\u${code.toString(16).padStart(4, '0')}`));
    }
  }
  return choice(
    ...(plain.length === 0 ? [] : [chars(...plain)]),
    ...escaped.map(([letter]) => text(`\\${letter}`)),
    ...controls,
  );
}

/** Makes one JSON value as it is written without spaces. */
export function literal(value: unknown): GrammarNode {
  return text(JSON.stringify(value));
}

/** Makes a list of so many items of one form. */
export function listOf(item: GrammarNode, min: number, max: number): GrammarNode {
  return listFrom([], item, { min, max });
}

/** Makes a list whose first items have forms of their own, as far as it has as many. */
export function listFrom(
  first: readonly GrammarNode[],
  rest: GrammarNode | null,
  { min, max }: { readonly min: number; readonly max: number },
): GrammarNode {
  const numFirst = Math.min(first.length, max);
  const numRest = (count: number) => Math.max(0, count - numFirst);
  const more = (item: GrammarNode) => sequence(text(','), SPACE, item);
  // From the last item to the first, each with what may follow it.
  let tail: GrammarNode = rest === null ? text('') : repeat(more(rest), numRest(min), numRest(max));
  for (let i = numFirst - 1; i > 0; i--) {
    const item = sequence(more(first[i] ?? text('')), tail);
    tail = i < min ? item : optional(item);
  }
  const head = first[0] ?? rest;
  if (head === null || max <= 0) return listText(text(''));
  const one = numFirst > 0 ? tail : repeat(more(head), Math.max(0, min - 1), max - 1);
  const items = sequence(head, one);
  return listText(min > 0 ? items : optional(items));
}

export function listText(items: GrammarNode): GrammarNode {
  return sequence(text('['), SPACE, items, SPACE, text(']'));
}

/** Makes a member of an object. */
export function member(key: GrammarNode, value: GrammarNode): GrammarNode {
  return sequence(key, text(':'), optional(text(' ')), value);
}

/** Makes an object with any number of members, each of one of some forms. */
function objectOf(members: readonly GrammarNode[]): GrammarNode {
  const one = choice(...members);
  return objectText(optional(sequence(one, repeat(following(one), 0))));
}

export function objectText(members: GrammarNode): GrammarNode {
  return sequence(text('{'), SPACE, members, SPACE, text('}'));
}

/** Makes a member with what separates it from the one before. */
export function following(one: GrammarNode): GrammarNode {
  return sequence(text(','), SPACE, one);
}

/** Makes a member with what separates it from the one behind. */
export function preceding(one: GrammarNode): GrammarNode {
  return sequence(one, text(','), SPACE);
}
