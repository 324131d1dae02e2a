import { Text } from './text.ts';

/**
 * A value in a template. Integers are bigint and floating-point numbers are number, since a
 * template may tell 1 from 1.0.
 */
export type Value =
  | Undefined
  | null
  | boolean
  | bigint
  | number
  | Text
  | List
  | Dict
  | Namespace
  | Loop
  | Callable;

/** A name or attribute that has no value. */
export class Undefined {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A list or tuple. */
export class List {
  readonly items: readonly Value[];
  readonly isTuple: boolean;
  /** The text that stands for the list where a template uses it as one. */
  readonly text: Text | undefined;

  constructor(items: readonly Value[], options: { isTuple?: boolean; text?: Text } = {}) {
    this.items = items;
    this.isTuple = options.isTuple ?? false;
    this.text = options.text;
  }
}

/** An entry of a dict; the key keeps its origin. */
export interface Entry {
  readonly key: Text;
  readonly value: Value;
}

/** A dict with texts as keys. */
export class Dict {
  readonly entries: ReadonlyMap<string, Entry>;

  constructor(entries: Iterable<Entry>) {
    this.entries = new Map([...entries].map((entry) => [entry.key.value, entry]));
  }

  get(key: string): Value | undefined {
    return this.entries.get(key)?.value;
  }
}

/** A Jinja namespace, whose attributes a template may set. */
export class Namespace {
  readonly attributes: Map<string, Value>;

  constructor(attributes: Map<string, Value>) {
    this.attributes = attributes;
  }
}

/** The `loop` of a for-loop. */
export class Loop {
  readonly items: readonly Value[];
  index0 = 0;
  /** Arguments of the last `changed` call. */
  seen: List | undefined;

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** Arguments of a call. */
export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** A macro, method or global function. */
export class Callable {
  readonly name: string;
  readonly call: (args: Arguments) => Value;

  constructor(name: string, call: (args: Arguments) => Value) {
    this.name = name;
    this.call = call;
  }
}

/** Names a value's type as Python does, for messages. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return 'float';
  if (value instanceof Text) return 'str';
  if (value instanceof List) return value.isTuple ? 'tuple' : 'list';
  if (value instanceof Dict) return 'dict';
  if (value instanceof Namespace) return 'Namespace';
  if (value instanceof Loop) return 'LoopContext';
  return value instanceof Undefined ? 'Undefined' : 'function';
}

export function isTrue(value: Value): boolean {
  if (value instanceof Undefined) return false;
  if (value instanceof Text) return value.value !== '';
  if (value instanceof List) return value.items.length > 0;
  if (value instanceof Dict) return value.entries.size > 0;
  if (typeof value === 'object') return value !== null;
  return Boolean(value);
}

/** Returns the number that a value is, a boolean being 0 or 1; undefined if it is none. */
export function numberOf(value: Value): bigint | number | undefined {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return typeof value === 'bigint' || typeof value === 'number' ? value : undefined;
}

/** Compares as Python's `==`. */
export function areEqual(a: Value, b: Value): boolean {
  const [x, y] = [numberOf(a), numberOf(b)];
  // biome-ignore lint/suspicious/noDoubleEquals: an integer equals a float of the same value.
  if (x !== undefined && y !== undefined) return x == y;
  if (a instanceof Text) return textOfParts(b)?.value === a.value;
  if (b instanceof Text) return areEqual(b, a);
  if (a instanceof List && b instanceof List) {
    return a.isTuple === b.isTuple && areItemsEqual(a.items, b.items);
  }
  if (a instanceof Dict && b instanceof Dict) {
    const isSame = (entry: Entry) => {
      const other = b.get(entry.key.value);
      return other !== undefined && areEqual(entry.value, other);
    };
    return a.entries.size === b.entries.size && [...a.entries.values()].every(isSame);
  }
  return a === b || (a instanceof Undefined && b instanceof Undefined);
}

function areItemsEqual(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, i) => areEqual(item, b[i] ?? null));
}

/** Returns a text, or the text of a list that stands for one. */
export function textOfParts(value: Value): Text | undefined {
  return value instanceof List ? value.text : value instanceof Text ? value : undefined;
}

/** Orders two values as Python does: below 0 if `a` comes first; throws if they have no order. */
export function compare(a: Value, b: Value): number {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : 0;
  if (a instanceof Text && b instanceof Text) return compareText(a.value, b.value);
  if (a instanceof List && b instanceof List && a.isTuple === b.isTuple) {
    for (const [i, item] of a.items.entries()) {
      const other = b.items[i];
      if (other === undefined) return 1;
      if (!areEqual(item, other)) return compare(item, other);
    }
    return a.items.length - b.items.length;
  }
  throw new TypeError(`"${typeName(a)}" and "${typeName(b)}" have no order`);
}

/** Orders texts by code points, which differs from the order of UTF-16 units. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

/** Returns the items that a loop over a value visits. */
export function itemsOf(value: Value): readonly Value[] {
  if (value instanceof List) return value.items;
  if (value instanceof Dict) return [...value.entries.values()].map(({ key }) => key);
  if (value instanceof Undefined) return [];
  if (value instanceof Text) return characters(value);
  throw new TypeError(`"${typeName(value)}" cannot be looped over`);
}

/** Returns the characters of a text: code points, as in Python. */
export function characters(text: Text): Text[] {
  const list: Text[] = [];
  let start = 0;
  for (const character of text.value) {
    list.push(text.slice(start, start + character.length));
    start += character.length;
  }
  return list;
}
