import { Bound } from './arguments.ts';
import { formatBraces } from './format.ts';
import { Text } from './text.ts';
import { MISSING_TEXT_METHODS, TEXT_METHODS } from './text-methods.ts';
import {
  type Arguments,
  areEqual,
  Callable,
  characters,
  Dict,
  List,
  Loop,
  Namespace,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

/** Methods that change their object, which the sandbox of the reference does not let a template call. */
const UNSAFE_METHODS: ReadonlySet<string> = new Set(
  'append clear extend insert pop popitem remove reverse setdefault sort update'.split(' '),
);

/** Methods of Python's own types that a template cannot use here, for the check when it is read. */
export const MISSING_METHODS: ReadonlySet<string> = new Set([...MISSING_TEXT_METHODS, 'fromkeys']);

/** Reads `value.name`: an attribute, otherwise an item, as Jinja does. */
export function attributeOf(value: Value, name: Value): Value {
  if (!(name instanceof Text)) return itemOf(value, name);
  refuseUndefined(value, name.value);
  return attribute(value, name.value) ?? item(value, name) ?? new Undefined(name.value);
}

/** Reads an attribute, never an item, as Jinja's filter `attr` does. */
export function attributeOnly(value: Value, name: Text): Value {
  refuseUndefined(value, name.value);
  return attribute(value, name.value) ?? new Undefined(name.value);
}

/** Reads `value[key]`: an item, otherwise an attribute, as Jinja does. */
export function itemOf(value: Value, key: Value): Value {
  const name = key instanceof Text ? key.value : typeName(key);
  refuseUndefined(value, name);
  const found = item(value, key);
  if (found !== undefined) return found;
  return (key instanceof Text ? attribute(value, key.value) : undefined) ?? new Undefined(name);
}

function refuseUndefined(value: Value, name: string): void {
  if (value instanceof Undefined) {
    throw new TypeError(`"${value.name}" is undefined and has no "${name}"`);
  }
}

function item(value: Value, key: Value): Value | undefined {
  if (value instanceof Dict) return key instanceof Text ? value.get(key.value) : undefined;
  if (typeof key !== 'bigint' && typeof key !== 'boolean') return undefined;
  const index = Number(key);
  if (value instanceof List) return value.items.at(index);
  if (!(value instanceof Text)) return undefined;
  return isAscii(value) ? character(value, index) : characters(value).at(index);
}

const isAscii = ({ value }: Text) => !/[\ud800-\udfff]/.test(value);

function character(text: Text, index: number): Text | undefined {
  const at = index < 0 ? text.value.length + index : index;
  return at < 0 || at >= text.value.length ? undefined : text.slice(at, at + 1);
}

/** Cuts a list or text as Python's `value[start:stop:step]`. */
export function sliceOf(
  value: Value,
  { start, stop, step }: { readonly start: Value; readonly stop: Value; readonly step: Value },
): Value {
  const bounds = { start: bound(start), stop: bound(stop), step: bound(step) ?? 1 };
  if (bounds.step === 0) throw new TypeError('slice step cannot be zero');
  if (value instanceof List) {
    return new List(
      indices(value.items.length, bounds).map((i) => value.items[i] ?? null),
      {
        isTuple: value.isTuple,
      },
    );
  }
  if (!(value instanceof Text)) throw new TypeError(`a ${typeName(value)} cannot be cut`);
  if (bounds.step === 1 && isAscii(value)) {
    const { first, last } = ends(value.value.length, bounds);
    return value.slice(first, last);
  }
  const all = characters(value);
  return Text.join(indices(all.length, bounds).map((i) => all[i] ?? Text.empty()));
}

function bound(value: Value): number | undefined {
  if (value === null || value instanceof Undefined) return undefined;
  if (typeof value === 'bigint' || typeof value === 'boolean') return Number(value);
  throw new TypeError(`a slice needs integers, got ${typeName(value)}`);
}

interface Bounds {
  readonly start: number | undefined;
  readonly stop: number | undefined;
  readonly step: number;
}

function ends(length: number, { start, stop, step }: Bounds) {
  const [lowest, highest] = step > 0 ? [0, length] : [-1, length - 1];
  const place = (at: number) =>
    Math.min(highest, Math.max(lowest, at < 0 ? Math.max(lowest, at + length) : at));
  const [from, to] = step > 0 ? [lowest, highest] : [highest, lowest];
  return {
    first: start === undefined ? from : place(start),
    last: stop === undefined ? to : place(stop),
  };
}

function indices(length: number, bounds: Bounds): number[] {
  const { first, last } = ends(length, bounds);
  const list: number[] = [];
  for (let i = first; bounds.step > 0 ? i < last : i > last; i += bounds.step) list.push(i);
  return list;
}

function attribute(value: Value, name: string): Value | undefined {
  if (value instanceof Namespace) return value.attributes.get(name);
  if (value instanceof Loop) return loopAttribute(value, name);
  const method = methodOf(value, name);
  if (method !== undefined) return new Callable(name, method);
  if (!UNSAFE_METHODS.has(name) || !(value instanceof List || value instanceof Dict)) {
    return undefined;
  }
  return new Callable(name, () => {
    throw new TypeError(`the method "${name}" of a ${typeName(value)} is not safe in a template`);
  });
}

type BoundMethod = (args: Arguments) => Value;

function methodOf(value: Value, name: string): BoundMethod | undefined {
  if (value instanceof Dict) return dictMethod(value, name);
  if (value instanceof List) return listMethod(value, name);
  if (!(value instanceof Text)) return undefined;
  if (name === 'format') return (args) => formatBraces(value, args, attributeOf);
  const method = TEXT_METHODS.get(name);
  return method === undefined ? undefined : (args) => method(value, args);
}

function dictMethod(dict: Dict, name: string): BoundMethod | undefined {
  const entries = [...dict.entries.values()];
  const withoutArguments = (result: () => Value) => (args: Arguments) => {
    new Bound(name, args, []);
    return result();
  };
  switch (name) {
    case 'get':
      return (args) => {
        const bound = new Bound('get', args, ['key', 'default']);
        const key = bound.required('key');
        return (key instanceof Text ? dict.get(key.value) : undefined) ?? bound.value('default');
      };
    case 'items':
      return withoutArguments(() => pairs(dict));
    case 'keys':
      return withoutArguments(() => new List(entries.map(({ key }) => key)));
    case 'values':
      return withoutArguments(() => new List(entries.map((entry) => entry.value)));
    case 'copy':
      return withoutArguments(() => dict);
    default:
      return undefined;
  }
}

/** Returns the (key, value) tuples of a dict. */
export function pairs(dict: Dict): List {
  const entries = [...dict.entries.values()];
  return new List(entries.map(({ key, value }) => new List([key, value], { isTuple: true })));
}

function listMethod(list: List, name: string): BoundMethod | undefined {
  const equal = (args: Arguments) => {
    const wanted = new Bound(name, args, ['value']).required('value');
    return (item: Value) => areEqual(item, wanted);
  };
  switch (name) {
    case 'index':
      return (args) => {
        const at = list.items.findIndex(equal(args));
        if (at === -1) throw new TypeError('the value is not in the list');
        return BigInt(at);
      };
    case 'count':
      return (args) => BigInt(list.items.filter(equal(args)).length);
    case 'copy':
      return () => list;
    default:
      // A list of parts that a template uses as a text has a text's methods.
      return list.text === undefined ? undefined : methodOf(list.text, name);
  }
}

function loopAttribute(loop: Loop, name: string): Value | undefined {
  const { items, index0 } = loop;
  switch (name) {
    case 'index':
      return BigInt(index0 + 1);
    case 'index0':
      return BigInt(index0);
    case 'revindex':
      return BigInt(items.length - index0);
    case 'revindex0':
      return BigInt(items.length - index0 - 1);
    case 'first':
      return index0 === 0;
    case 'last':
      return index0 === items.length - 1;
    case 'length':
      return BigInt(items.length);
    // Only recursive loops, which are refused, have other depths.
    case 'depth':
      return 1n;
    case 'depth0':
      return 0n;
    case 'previtem':
      return index0 > 0 ? (items[index0 - 1] ?? null) : new Undefined('loop.previtem');
    case 'nextitem':
      return index0 + 1 < items.length
        ? (items[index0 + 1] ?? null)
        : new Undefined('loop.nextitem');
    case 'cycle':
      return new Callable('cycle', ({ positional }) => {
        if (positional.length === 0) throw new TypeError('no items for cycling given');
        return positional[index0 % positional.length] ?? null;
      });
    case 'changed':
      return new Callable('changed', ({ positional }) => {
        const isChanged = loop.seen === undefined || !areEqual(loop.seen, new List(positional));
        loop.seen = new List(positional);
        return isChanged;
      });
    default:
      return undefined;
  }
}
