import { Bound } from './arguments.ts';
import { Text } from './text.ts';
import {
  type Arguments,
  characters,
  itemsOf,
  List,
  textOfParts,
  typeName,
  type Value,
} from './value.ts';

/** Characters that Python counts as white space. */
const SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const IS_SPACE = new RegExp(`^[${SPACE}]$`, 'u');
const WORD = new RegExp(`[^${SPACE}]+`, 'gu');
const LINE_ENDS = '\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'gu');
const CASED = /[\p{Lu}\p{Ll}\p{Lt}]/u;

/** Most characters of a text that a template makes. */
const MAX_CHARS = 16 * 1024 * 1024;

type Method = (text: Text, args: Arguments) => Value;

/** Python's methods of texts, by name. Every piece of a result keeps its origin. */
export const TEXT_METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['strip', (text, args) => strip(text, stripped('strip', args), { start: true, end: true })],
  ['lstrip', (text, args) => strip(text, stripped('lstrip', args), { start: true, end: false })],
  ['rstrip', (text, args) => strip(text, stripped('rstrip', args), { start: false, end: true })],
  ['split', (text, args) => new List(split(text, splitting('split', args)))],
  ['rsplit', (text, args) => new List(splitFromEnd(text, splitting('rsplit', args)))],
  ['splitlines', (text, args) => new List(splitLines(text, keepsEnds(args)))],
  ['partition', (text, args) => partition(text, args, { fromEnd: false })],
  ['rpartition', (text, args) => partition(text, args, { fromEnd: true })],
  ['replace', replaceMethod],
  ['removeprefix', removePrefix],
  ['removesuffix', removeSuffix],
  ['startswith', (text, args) => hasAffix(text, args, 'startswith')],
  ['endswith', (text, args) => hasAffix(text, args, 'endswith')],
  ['find', (text, args) => BigInt(find(text, args, 'find'))],
  ['rfind', (text, args) => BigInt(find(text, args, 'rfind'))],
  ['index', (text, args) => found(find(text, args, 'index'))],
  ['rindex', (text, args) => found(find(text, args, 'rindex'))],
  ['count', (text, args) => count(text, args)],
  ['join', (text, args) => joined(text, args)],
  ['upper', (text, args) => plain('upper', args, () => recased(text, upper))],
  ['lower', (text, args) => plain('lower', args, () => recased(text, lower))],
  ['casefold', (text, args) => plain('casefold', args, () => recased(text, lower))],
  ['title', (text, args) => plain('title', args, () => recased(text, titled))],
  ['capitalize', (text, args) => plain('capitalize', args, () => capitalize(text))],
  ['swapcase', (text, args) => plain('swapcase', args, () => recased(text, swapped))],
  ['center', (text, args) => padded(text, args, 'center')],
  ['ljust', (text, args) => padded(text, args, 'ljust')],
  ['rjust', (text, args) => padded(text, args, 'rjust')],
  ['zfill', zeroFilled],
  ['isalnum', (text, args) => plain('isalnum', args, () => every(text, /^[\p{L}\p{N}]+$/u))],
  ['isalpha', (text, args) => plain('isalpha', args, () => every(text, /^\p{L}+$/u))],
  ['isascii', (text, args) => plain('isascii', args, () => !/[\u0080-\uffff]/.test(text.value))],
  ['isdecimal', (text, args) => plain('isdecimal', args, () => every(text, /^\p{Nd}+$/u))],
  ['isdigit', (text, args) => plain('isdigit', args, () => every(text, /^[\p{Nd}²³¹⁰-⁹₀-₉]+$/u))],
  ['isnumeric', (text, args) => plain('isnumeric', args, () => every(text, /^\p{N}+$/u))],
  ['isspace', (text, args) => plain('isspace', args, () => isSpace(text.value))],
  ['islower', (text, args) => plain('islower', args, () => isCased(text.value, lower))],
  ['isupper', (text, args) => plain('isupper', args, () => isCased(text.value, upper))],
]);

/** Methods of texts in Python that are not built here. */
export const MISSING_TEXT_METHODS: ReadonlySet<string> = new Set(
  'encode expandtabs format_map isidentifier isprintable istitle maketrans translate'.split(' '),
);

const upper = (text: string) => text.toUpperCase();
const lower = (text: string) => text.toLowerCase();
const swapped = (text: string) =>
  text.replace(/\p{L}/gu, (one) => (one === lower(one) ? upper(one) : lower(one)));
const titled = (text: string) =>
  text.replace(
    /([\p{Lu}\p{Ll}\p{Lt}])([\p{Lu}\p{Ll}\p{Lt}]*)/gu,
    (_, first: string, rest: string) => upper(first) + lower(rest),
  );

const every = (text: Text, pattern: RegExp) => pattern.test(text.value);
const isSpace = (text: string) => text !== '' && [...text].every((one) => IS_SPACE.test(one));
const isCased = (text: string, recase: (text: string) => string) =>
  CASED.test(text) && recase(text) === text;

function plain<T>(name: string, args: Arguments, result: () => T): T {
  new Bound(name, args, []);
  return result();
}

/** Rewrites the case of a text as a whole, since a letter's case may depend on its neighbours. */
export function recased(text: Text, recase: (value: string) => string): Text {
  const value = recase(text.value);
  if (value.length === text.value.length) return new Text(value, text.spans);
  return Text.of(value, text.origin);
}

export function capitalize(text: Text): Text {
  const first = String.fromCodePoint(text.value.codePointAt(0) ?? 0);
  return recased(text, (value) =>
    value === '' ? '' : upper(first) + lower(value.slice(first.length)),
  );
}

function stripped(name: string, args: Arguments): Text | undefined {
  return new Bound(name, args, ['chars']).text('chars');
}

/** Removes white space, or any of the characters of `set`, from the ends of a text. */
export function strip(
  text: Text,
  set: Text | undefined,
  { start, end }: { readonly start: boolean; readonly end: boolean },
): Text {
  const wanted = set === undefined ? undefined : new Set(set.value);
  const isStripped = (one: string) => (wanted === undefined ? IS_SPACE.test(one) : wanted.has(one));
  const { value } = text;
  let [from, to] = [0, value.length];
  while (start && from < to) {
    const one = String.fromCodePoint(value.codePointAt(from) ?? 0);
    if (!isStripped(one)) break;
    from += one.length;
  }
  while (end && to > from) {
    const isPair = /[\udc00-\udfff]/.test(value[to - 1] ?? '') && to - 2 >= from;
    const one = value.slice(isPair ? to - 2 : to - 1, to);
    if (!isStripped(one)) break;
    to -= one.length;
  }
  return text.slice(from, to);
}

interface Splitting {
  /** Undefined: runs of white space. */
  readonly separator: string | undefined;
  /** Most splits. */
  readonly most: number;
}

function splitting(name: string, args: Arguments): Splitting {
  const bound = new Bound(name, args, ['sep', 'maxsplit']);
  const separator = bound.text('sep')?.value;
  if (separator === '') throw new TypeError('empty separator');
  const most = bound.integer('maxsplit', -1);
  return { separator, most: most < 0 ? Number.POSITIVE_INFINITY : most };
}

function split(text: Text, { separator, most }: Splitting): Text[] {
  if (separator === undefined) return splitWords(text, most);
  const parts: Text[] = [];
  let start = 0;
  while (parts.length < most) {
    const at = text.value.indexOf(separator, start);
    if (at === -1) break;
    parts.push(text.slice(start, at));
    start = at + separator.length;
  }
  parts.push(text.slice(start));
  return parts;
}

function splitWords(text: Text, most: number): Text[] {
  const parts: Text[] = [];
  for (const { 0: word, index } of text.value.matchAll(WORD)) {
    if (parts.length >= most) {
      parts.push(text.slice(index));
      break;
    }
    parts.push(text.slice(index, index + word.length));
  }
  return parts;
}

function splitFromEnd(text: Text, { separator, most }: Splitting): Text[] {
  if (most === Number.POSITIVE_INFINITY) return split(text, { separator, most });
  if (separator === undefined) return splitWordsFromEnd(text, most);
  const parts: Text[] = [];
  let end = text.value.length;
  while (parts.length < most && end >= separator.length) {
    const at = text.value.lastIndexOf(separator, end - separator.length);
    if (at === -1) break;
    parts.push(text.slice(at + separator.length, end));
    end = at;
  }
  parts.push(text.slice(0, end));
  return parts.reverse();
}

function splitWordsFromEnd(text: Text, most: number): Text[] {
  const words = [...text.value.matchAll(WORD)];
  const numWhole = Math.max(0, words.length - most);
  const kept = words.slice(numWhole).map((word) => text.slice(word.index, endOf(word)));
  const last = words[numWhole - 1];
  if (last === undefined) return kept;
  const rest = strip(text.slice(0, endOf(last)), undefined, { start: false, end: true });
  return [rest, ...kept];
}

const endOf = (match: RegExpExecArray) => match.index + match[0].length;

function keepsEnds(args: Arguments): boolean {
  return new Bound('splitlines', args, ['keepends']).flag('keepends');
}

export function splitLines(text: Text, keepEnds = false): Text[] {
  const lines: Text[] = [];
  let start = 0;
  for (const { 0: ending, index } of text.value.matchAll(LINE_END)) {
    const end = index + ending.length;
    lines.push(text.slice(start, keepEnds ? end : index));
    start = end;
  }
  if (start < text.value.length) lines.push(text.slice(start));
  return lines;
}

function partition(text: Text, args: Arguments, { fromEnd }: { readonly fromEnd: boolean }): List {
  const separator = new Bound('partition', args, ['sep']).requiredText('sep').value;
  if (separator === '') throw new TypeError('empty separator');
  const at = fromEnd ? text.value.lastIndexOf(separator) : text.value.indexOf(separator);
  const nothing = Text.empty();
  const missing = fromEnd ? [nothing, nothing, text] : [text, nothing, nothing];
  if (at === -1) return new List(missing, { isTuple: true });
  const end = at + separator.length;
  return new List([text.slice(0, at), text.slice(at, end), text.slice(end)], { isTuple: true });
}

function replaceMethod(text: Text, args: Arguments): Text {
  const bound = new Bound('replace', args, ['old', 'new', 'count']);
  const most = bound.integer('count', -1);
  return replace(text, bound.requiredText('old'), bound.requiredText('new'), most);
}

/** Replaces `old` by `by`, at most `most` times; below 0: everywhere. */
export function replace(text: Text, old: Text, by: Text, most: number): Text {
  const limit = most < 0 ? Number.POSITIVE_INFINITY : most;
  if (old.value !== '') return Text.join(split(text, { separator: old.value, most: limit }), by);
  const pieces = [Text.empty(), ...characters(text), Text.empty()];
  const numSplits = Math.min(limit, pieces.length - 1);
  const whole = Text.join(pieces.slice(numSplits));
  return Text.join([...pieces.slice(0, numSplits), whole], by);
}

function removePrefix(text: Text, args: Arguments): Text {
  const prefix = new Bound('removeprefix', args, ['prefix']).requiredText('prefix').value;
  return text.value.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function removeSuffix(text: Text, args: Arguments): Text {
  const suffix = new Bound('removesuffix', args, ['suffix']).requiredText('suffix').value;
  return text.value.endsWith(suffix) ? text.slice(0, text.value.length - suffix.length) : text;
}

function hasAffix(text: Text, args: Arguments, name: 'startswith' | 'endswith'): boolean {
  const bound = new Bound(name, args, ['affix', 'start', 'end']);
  const wanted = bound.required('affix');
  const { value } = range(text, bound);
  const affixes = wanted instanceof List && wanted.isTuple ? wanted.items : [wanted];
  return affixes.some((one) => {
    const affix = textOfParts(one)?.value;
    if (affix === undefined) throw new TypeError(`${name}() needs a text, got ${typeName(one)}`);
    return name === 'startswith' ? value.startsWith(affix) : value.endsWith(affix);
  });
}

/** Cuts a text at the `start` and `end` arguments, counted in characters. */
function range(text: Text, bound: Bound): { readonly value: string; readonly start: number } {
  if (!bound.has('start') && !bound.has('end')) return { value: text.value, start: 0 };
  const all = [...text.value];
  const place = (at: number) => (at < 0 ? Math.max(0, all.length + at) : at);
  const start = place(bound.integer('start', 0));
  const end = place(bound.integer('end', all.length));
  return { value: all.slice(start, end).join(''), start };
}

/** Finds a text within another; the index counts characters, -1 if it is not there. */
function find(text: Text, args: Arguments, name: 'find' | 'rfind' | 'index' | 'rindex'): number {
  const bound = new Bound(name, args, ['sub', 'start', 'end']);
  const { value, start } = range(text, bound);
  const wanted = bound.requiredText('sub').value;
  const at = name.startsWith('r') ? value.lastIndexOf(wanted) : value.indexOf(wanted);
  return at === -1 ? -1 : start + [...value.slice(0, at)].length;
}

function found(index: number): bigint {
  if (index === -1) throw new TypeError('substring not found');
  return BigInt(index);
}

function count(text: Text, args: Arguments): bigint {
  const bound = new Bound('count', args, ['sub', 'start', 'end']);
  const { value } = range(text, bound);
  const wanted = bound.requiredText('sub').value;
  return BigInt(wanted === '' ? [...value].length + 1 : value.split(wanted).length - 1);
}

function joined(separator: Text, args: Arguments): Text {
  const items = itemsOf(new Bound('join', args, ['iterable']).required('iterable'));
  const texts = items.map((item) => {
    const text = textOfParts(item);
    if (text === undefined) throw new TypeError(`join() needs texts, got ${typeName(item)}`);
    return text;
  });
  return Text.join(texts, separator);
}

/** Repeats a text; refuses a result beyond all bounds. */
export function repeated(text: Text, times: number): Text {
  if (text.value.length * times > MAX_CHARS) throw new RangeError('the text grows too long');
  return Text.join(Array.from({ length: Math.max(0, times) }, () => text));
}

/** Fills a text up to a width, in characters. */
function padded(text: Text, args: Arguments, name: 'center' | 'ljust' | 'rjust'): Text {
  const bound = new Bound(name, args, ['width', 'fillchar']);
  bound.required('width');
  const fill = bound.text('fillchar', Text.of(' '));
  if ([...fill.value].length !== 1) throw new TypeError('fillchar must be one character');
  return pad(text, { width: bound.integer('width', 0), fill, side: name });
}

export function pad(
  text: Text,
  options: {
    readonly width: number;
    readonly fill: Text;
    readonly side: 'center' | 'ljust' | 'rjust';
  },
): Text {
  const { width, fill, side } = options;
  const missing = Math.max(0, width - [...text.value].length);
  const left =
    side === 'ljust'
      ? 0
      : side === 'rjust'
        ? missing
        : Math.floor(missing / 2) + (missing & width & 1);
  return Text.join([repeated(fill, left), text, repeated(fill, missing - left)]);
}

function zeroFilled(text: Text, args: Arguments): Text {
  const bound = new Bound('zfill', args, ['width']);
  bound.required('width');
  const signLength = /^[+-]/.test(text.value) ? 1 : 0;
  const width = bound.integer('width', 0) - signLength;
  const digits = pad(text.slice(signLength), { width, fill: Text.of('0'), side: 'rjust' });
  return Text.join([text.slice(0, signLength), digits]);
}
