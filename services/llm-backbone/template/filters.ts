import { attributeSteps, Bound } from './arguments.ts';
import { attributeOf, attributeOnly, pairs } from './attribute.ts';
import { formatPercent } from './format.ts';
import { toJson, toText } from './python-text.ts';
import { TESTS } from './tests.ts';
import { Text } from './text.ts';
import { capitalize, pad, recased, replace, splitLines, strip } from './text-methods.ts';
import {
  type Arguments,
  areEqual,
  characters,
  compare,
  Dict,
  isTrue,
  itemsOf,
  List,
  numberOf,
  textOfParts,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

/** Most decimals that `round` keeps. */
const MAX_PRECISION = 50;

export type Filter = (value: Value, args: Arguments) => Value;

/** Filters of Jinja that are not built here; a template with one is refused when it is read. */
export const MISSING_FILTERS: ReadonlySet<string> = new Set(
  'e escape filesizeformat forceescape groupby pprint random striptags urlencode urlize wordcount wordwrap xmlattr batch slice truncate'.split(
    ' ',
  ),
);

/** The filters of Jinja, with `tojson` as transformers has it. */
export const FILTERS: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['abs', simple('abs', absolute)],
  ['attr', attr],
  ['capitalize', simple('capitalize', (value) => capitalize(toText(value)))],
  ['center', center],
  ['count', simple('count', length)],
  ['d', fallback],
  ['default', fallback],
  ['dictsort', dictSort],
  ['first', simple('first', (value) => nth(value, 0))],
  ['float', float],
  ['format', format],
  ['indent', indent],
  ['int', int],
  ['items', simple('items', items)],
  ['join', join],
  ['last', simple('last', (value) => nth(value, -1))],
  ['length', simple('length', length)],
  ['list', simple('list', (value) => new List(itemsOf(value)))],
  ['lower', simple('lower', (value) => recased(toText(value), (text) => text.toLowerCase()))],
  ['map', map],
  ['max', (value, args) => extreme(value, args, 1)],
  ['min', (value, args) => extreme(value, args, -1)],
  ['reject', (value, args) => select(value, args, { keeps: false, byAttribute: false })],
  ['rejectattr', (value, args) => select(value, args, { keeps: false, byAttribute: true })],
  ['replace', replaceFilter],
  ['reverse', simple('reverse', reversed)],
  ['round', round],
  ['select', (value, args) => select(value, args, { keeps: true, byAttribute: false })],
  ['selectattr', (value, args) => select(value, args, { keeps: true, byAttribute: true })],
  ['sort', sort],
  ['string', simple('string', toText)],
  ['sum', sum],
  ['title', simple('title', (value) => titled(toText(value)))],
  ['tojson', json],
  ['trim', trim],
  ['unique', unique],
  ['upper', simple('upper', (value) => recased(toText(value), (text) => text.toUpperCase()))],
]);

function simple(name: string, apply: (value: Value) => Value): Filter {
  return (value, args) => {
    new Bound(name, args, []);
    return apply(value);
  };
}

function absolute(value: Value): Value {
  const number = numberOf(value);
  if (number === undefined) throw new TypeError(`abs: a ${typeName(value)} is no number`);
  return number < 0 ? -number : number;
}

function attr(value: Value, args: Arguments): Value {
  return attributeOnly(value, new Bound('attr', args, ['name']).requiredText('name'));
}

function center(value: Value, args: Arguments): Text {
  const width = new Bound('center', args, ['width']).integer('width', 80);
  return pad(toText(value), { width, fill: Text.of(' '), side: 'center' });
}

function length(value: Value): bigint {
  if (value instanceof Dict) return BigInt(value.entries.size);
  if (value instanceof List) return BigInt(value.items.length);
  if (value instanceof Undefined) return 0n;
  if (value instanceof Text) {
    const hasPairs = /[\ud800-\udfff]/.test(value.value);
    return BigInt(hasPairs ? [...value.value].length : value.value.length);
  }
  throw new TypeError(`a ${typeName(value)} has no length`);
}

function fallback(value: Value, args: Arguments): Value {
  const bound = new Bound('default', args, ['default_value', 'boolean']);
  const isMissing = value instanceof Undefined || (bound.flag('boolean') && !isTrue(value));
  if (!isMissing) return value;
  return bound.has('default_value') ? bound.value('default_value') : Text.empty();
}

function dictSort(value: Value, args: Arguments): List {
  const bound = new Bound('dictsort', args, ['case_sensitive', 'by', 'reverse']);
  if (!(value instanceof Dict)) throw new TypeError(`dictsort: a ${typeName(value)} is no dict`);
  const by = bound.text('by', Text.of('key')).value;
  if (by !== 'key' && by !== 'value') throw new TypeError('dictsort: by is "key" or "value"');
  const place = by === 'key' ? 0n : 1n;
  const key = (pair: Value) => foldCase(attributeOf(pair, place), bound.flag('case_sensitive'));
  return new List(sorted(pairs(value).items, key, bound.flag('reverse')));
}

function nth(value: Value, index: 0 | -1): Value {
  return itemsOf(value).at(index) ?? new Undefined(index === 0 ? 'first' : 'last');
}

function float(value: Value, args: Arguments): Value {
  const bound = new Bound('float', args, ['default']);
  return readFloat(value) ?? (bound.has('default') ? bound.value('default') : 0);
}

const FLOAT = /^[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?$|^[+-]?(?:inf(?:inity)?|nan)$/i;

function readFloat(value: Value): number | undefined {
  const number = numberOf(value);
  if (number !== undefined) return Number(number);
  const text = textOfParts(value)?.value.trim();
  if (text === undefined || !FLOAT.test(text)) return undefined;
  if (/nan/i.test(text)) return Number.NaN;
  if (/inf/i.test(text)) {
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  return Number(text.replaceAll('_', ''));
}

function int(value: Value, args: Arguments): Value {
  const bound = new Bound('int', args, ['default', 'base']);
  const base = bound.integer('base', 10);
  if (base !== 10) throw new TypeError(`int: a base of ${base} cannot be read here`);
  const text = textOfParts(value)?.value.trim();
  if (text !== undefined && /^[+-]?\d+(?:_\d+)*$/.test(text)) {
    return BigInt(text.replace(/^\+/, '').replaceAll('_', ''));
  }
  if (typeof value === 'bigint') return value;
  const number = readFloat(value);
  if (number !== undefined && Number.isFinite(number)) return BigInt(Math.trunc(number));
  return bound.has('default') ? bound.value('default') : 0n;
}

function format(value: Value, { positional, named }: Arguments): Text {
  if (named.size === 0) {
    return formatPercent(toText(value), new List(positional, { isTuple: true }));
  }
  if (positional.length > 0) {
    throw new TypeError('format takes arguments by position or by name, not both');
  }
  const entries = [...named].map(([name, one]) => ({ key: Text.of(name), value: one }));
  return formatPercent(toText(value), new Dict(entries));
}

function indent(value: Value, args: Arguments): Text {
  const bound = new Bound('indent', args, ['width', 'first', 'blank']);
  const width = bound.value('width');
  const margin =
    width instanceof Text ? width : Text.of(' '.repeat(Math.max(0, bound.integer('width', 4))));
  // Jinja adds a newline before it splits, so that a text's last one is kept.
  const lines = splitLines(Text.join([toText(value), Text.of('\n')]));
  const isBlankToo = bound.flag('blank');
  const indented = lines.map((line, i) => {
    const isPlain = i === 0 ? !bound.flag('first') : line.value === '' && !isBlankToo;
    return isPlain ? line : Text.join([margin, line]);
  });
  return Text.join(indented, Text.of('\n'));
}

function items(value: Value): List {
  if (value instanceof Undefined) return new List([]);
  if (value instanceof Dict) return pairs(value);
  throw new TypeError(`items: a ${typeName(value)} is no mapping`);
}

function join(value: Value, args: Arguments): Text {
  const bound = new Bound('join', args, ['d', 'attribute']);
  const read = reader(bound.value('attribute'));
  return Text.join(
    itemsOf(value).map((item) => toText(read(item))),
    toText(bound.value('d') ?? Text.empty()),
  );
}

/** Returns what reads an attribute, such as "function.name", of an item; null: the item itself. */
function reader(attribute: Value): (item: Value) => Value {
  if (attribute === null) return (item) => item;
  const steps = attributeSteps(attribute);
  return (item) => steps.reduce(itemStep, item);
}

function itemStep(value: Value, step: Value): Value {
  // Unlike `value.name` in a template, a step looks for an item before it looks for a method.
  if (value instanceof Dict && step instanceof Text) {
    return value.get(step.value) ?? attributeOf(value, step);
  }
  return attributeOf(value, step);
}

function map(value: Value, { positional, named }: Arguments): List {
  if (named.has('attribute') && positional.length === 0) {
    const bound = new Bound('map', { positional, named }, ['attribute', 'default']);
    const read = reader(bound.value('attribute'));
    const orDefault = (one: Value) =>
      one instanceof Undefined && bound.has('default') ? bound.value('default') : one;
    return new List(itemsOf(value).map((item) => orDefault(read(item))));
  }
  const [name, ...rest] = positional;
  const filter = name instanceof Text ? FILTERS.get(name.value) : undefined;
  if (filter === undefined) throw new TypeError('map needs an attribute or the name of a filter');
  return new List(itemsOf(value).map((item) => filter(item, { positional: rest, named })));
}

/** Returns a text without its case for a comparison; other values as they are. */
function foldCase(value: Value, isCaseSensitive: boolean): Value {
  if (isCaseSensitive || !(value instanceof Text)) return value;
  return Text.of(value.value.toLowerCase());
}

function extreme(value: Value, args: Arguments, sign: 1 | -1): Value {
  const name = sign === 1 ? 'max' : 'min';
  const bound = new Bound(name, args, ['case_sensitive', 'attribute']);
  const read = reader(bound.value('attribute'));
  const key = (item: Value) => foldCase(read(item), bound.flag('case_sensitive'));
  const [first, ...rest] = itemsOf(value);
  if (first === undefined) return new Undefined(name);
  return rest.reduce(
    (best, item) => (compare(key(item), key(best)) * sign > 0 ? item : best),
    first,
  );
}

function select(
  value: Value,
  { positional, named }: Arguments,
  { keeps, byAttribute }: { readonly keeps: boolean; readonly byAttribute: boolean },
): List {
  if (named.size > 0) throw new TypeError('a test takes no arguments by name here');
  const [attribute = null, ...afterAttribute] = byAttribute ? positional : [null, ...positional];
  const read = reader(attribute);
  const [name, argument = null] = afterAttribute;
  if (name === undefined) {
    return new List(itemsOf(value).filter((item) => isTrue(read(item)) === keeps));
  }
  const test = name instanceof Text ? TESTS.get(name.value) : undefined;
  if (test === undefined) throw new TypeError(`no test named "${toText(name).value}"`);
  return new List(itemsOf(value).filter((item) => test(read(item), argument) === keeps));
}

function replaceFilter(value: Value, args: Arguments): Text {
  const bound = new Bound('replace', args, ['old', 'new', 'count']);
  const [old, by] = [toText(bound.required('old')), toText(bound.required('new'))];
  return replace(toText(value), old, by, bound.integer('count', -1));
}

function reversed(value: Value): Value {
  if (value instanceof Text) return Text.join(characters(value).reverse());
  return new List([...itemsOf(value)].reverse());
}

function round(value: Value, args: Arguments): Value {
  const bound = new Bound('round', args, ['precision', 'method']);
  const number = numberOf(value);
  if (number === undefined) throw new TypeError(`round: a ${typeName(value)} is no number`);
  const precision = bound.integer('precision', 0);
  const method = bound.text('method', Text.of('common')).value;
  if (typeof number === 'bigint' && method === 'common' && precision >= 0) return number;
  const scale = 10 ** precision;
  const scaled = Number(number) * scale;
  if (method === 'ceil') return Math.ceil(scaled) / scale;
  if (method === 'floor') return Math.floor(scaled) / scale;
  if (method !== 'common') throw new TypeError('round: method is common, ceil or floor');
  if (precision < 0) return Math.round(scaled) / scale;
  return roundHalfEven(Number(number), Math.min(precision, MAX_PRECISION));
}

/** Rounds to a number of decimals; what lies exactly between two goes to the even one. */
function roundHalfEven(number: number, precision: number): number {
  if (Math.abs(number) >= 1e21) return number;
  // With so many digits the decimal form is exact for every number that may lie between.
  const [, decimals = ''] = Math.abs(number).toFixed(100).split('.');
  const isBetween = /^50*$/.test(decimals.slice(precision));
  const scale = 10 ** precision;
  if (isBetween) return (2 * Math.round((number * scale) / 2)) / scale;
  return Number(number.toFixed(precision));
}

function sorted(
  list: readonly Value[],
  key: (item: Value) => Value,
  isReversed: boolean,
): readonly Value[] {
  const keyed = list.map((item) => ({ item, key: key(item) }));
  // A reversed order keeps equal items in their order, as Python's sort does.
  const sign = isReversed ? -1 : 1;
  return keyed.sort((a, b) => sign * compare(a.key, b.key)).map(({ item }) => item);
}

function sort(value: Value, args: Arguments): List {
  const bound = new Bound('sort', args, ['reverse', 'case_sensitive', 'attribute']);
  const attribute = bound.value('attribute');
  const names =
    attribute instanceof Text ? attribute.value.split(',').map((one) => Text.of(one)) : [attribute];
  const readers = names.map(reader);
  const key = (item: Value): Value => {
    const keys = readers.map((read) => foldCase(read(item), bound.flag('case_sensitive')));
    return keys.length === 1 ? (keys[0] ?? null) : new List(keys);
  };
  return new List(sorted(itemsOf(value), key, bound.flag('reverse')));
}

function sum(value: Value, args: Arguments): Value {
  const bound = new Bound('sum', args, ['attribute', 'start']);
  const read = reader(bound.value('attribute'));
  const start = bound.has('start') ? bound.value('start') : 0n;
  return itemsOf(value).reduce<Value>((total, item) => {
    const [a, b] = [numberOf(total), numberOf(read(item))];
    if (a === undefined || b === undefined) throw new TypeError('sum needs numbers');
    return typeof a === 'bigint' && typeof b === 'bigint' ? a + b : Number(a) + Number(b);
  }, start);
}

/** Jinja's own title case: a word begins after white space, a hyphen or an opening bracket. */
function titled(text: Text): Text {
  return recased(text, (value) =>
    value
      .split(/([-\s({[<]+)/)
      .map((word) => {
        const first = String.fromCodePoint(word.codePointAt(0) ?? 0);
        return word === '' ? '' : first.toUpperCase() + word.slice(first.length).toLowerCase();
      })
      .join(''),
  );
}

function json(value: Value, args: Arguments): Text {
  const names = ['ensure_ascii', 'indent', 'separators', 'sort_keys'];
  const bound = new Bound('tojson', args, names);
  const separators = bound.value('separators');
  const [comma, colon] = separators === null ? [] : itemsOf(separators);
  return toJson(value, {
    ensureAscii: bound.flag('ensure_ascii'),
    indent: bound.value('indent') === null ? null : bound.integer('indent', 0),
    separators: comma instanceof Text && colon instanceof Text ? [comma, colon] : null,
    sortKeys: bound.flag('sort_keys'),
  });
}

function trim(value: Value, args: Arguments): Text {
  const chars = new Bound('trim', args, ['chars']).text('chars');
  return strip(toText(value), chars, { start: true, end: true });
}

function unique(value: Value, args: Arguments): List {
  const bound = new Bound('unique', args, ['case_sensitive', 'attribute']);
  const read = reader(bound.value('attribute'));
  const seen: Value[] = [];
  const seenTexts = new Set<string>();
  return new List(
    itemsOf(value).filter((item) => {
      const key = foldCase(read(item), bound.flag('case_sensitive'));
      const isSeen =
        key instanceof Text ? seenTexts.has(key.value) : seen.some((one) => areEqual(one, key));
      if (key instanceof Text) seenTexts.add(key.value);
      else if (!isSeen) seen.push(key);
      return !isSeen;
    }),
  );
}
