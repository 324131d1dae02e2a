import { Bound } from './arguments.ts';
import { pairs } from './attribute.ts';
import { toText } from './python-text.ts';
import { strftime } from './strftime.ts';
import { Text } from './text.ts';
import {
  type Arguments,
  Callable,
  Dict,
  itemsOf,
  List,
  Namespace,
  typeName,
  type Value,
} from './value.ts';

/** The longest range of Jinja's sandbox. */
const MAX_RANGE = 100_000;

/** Globals of Jinja that are not built here. */
export const MISSING_GLOBALS: ReadonlySet<string> = new Set(['cycler', 'joiner', 'lipsum', 'self']);

/** Returns the functions that every template may call. */
export function globals(today: () => Date): ReadonlyMap<string, Value> {
  const functions: Readonly<Record<string, (args: Arguments) => Value>> = {
    range,
    dict: (args) => new Dict(entriesOf(args)),
    namespace: (args) =>
      new Namespace(new Map(entriesOf(args).map(({ key, value }) => [key.value, value]))),
    raise_exception: (args) => {
      throw new Error(
        toText(new Bound('raise_exception', args, ['message']).value('message')).value,
      );
    },
    strftime_now: (args) => {
      const format = new Bound('strftime_now', args, ['format']).requiredText('format');
      return Text.of(strftime(today(), format.value));
    },
  };
  return new Map(Object.entries(functions).map(([name, call]) => [name, new Callable(name, call)]));
}

function range(args: Arguments): List {
  const { positional, named } = args;
  if (named.size > 0 || positional.length === 0 || positional.length > 3) {
    throw new TypeError('range() takes one to three arguments, by position');
  }
  const numbers = positional.map((value) => {
    if (typeof value === 'bigint' || typeof value === 'boolean') return Number(value);
    throw new TypeError(`range() needs integers, got ${typeName(value)}`);
  });
  const [first = 0, second, step = 1] = numbers;
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (step === 0) throw new TypeError('range() arg 3 must not be zero');
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > MAX_RANGE) throw new RangeError(`a range of ${length}; the most is ${MAX_RANGE}`);
  return new List(Array.from({ length }, (_, i) => BigInt(start + i * step)));
}

/** Reads what `dict(...)` and `namespace(...)` are made from. */
function entriesOf({ positional, named }: Arguments): { key: Text; value: Value }[] {
  const [source, ...more] = positional;
  if (more.length > 0) throw new TypeError('at most one argument may have no name');
  const given =
    source === undefined ? [] : source instanceof Dict ? pairs(source).items : itemsOf(source);
  const entries = given.map((pair) => {
    const [key, value, ...rest] = itemsOf(pair);
    if (key instanceof Text && value !== undefined && rest.length === 0) return { key, value };
    throw new TypeError('a dict is made from pairs of a str and a value');
  });
  return [...entries, ...[...named].map(([name, value]) => ({ key: Text.of(name), value }))];
}
