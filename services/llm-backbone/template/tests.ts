import { Text } from './text.ts';
import {
  areEqual,
  Callable,
  compare,
  Dict,
  itemsOf,
  List,
  numberOf,
  textOfParts,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

type Test = (value: Value, argument: Value) => boolean;

/** Jinja's tests by name; `argument` is null for those that take none. */
export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', (value) => !(value instanceof Undefined)],
  ['undefined', (value) => value instanceof Undefined],
  ['none', (value) => value === null],
  ['boolean', (value) => typeof value === 'boolean'],
  ['true', (value) => value === true],
  ['false', (value) => value === false],
  ['integer', (value) => typeof value === 'bigint'],
  ['float', (value) => typeof value === 'number'],
  ['number', (value) => numberOf(value) !== undefined],
  ['string', (value) => value instanceof Text],
  ['mapping', (value) => value instanceof Dict],
  ['sequence', (value) => isSequence(value)],
  ['iterable', (value) => isSequence(value) || value instanceof Undefined],
  ['callable', (value) => value instanceof Callable],
  ['odd', (value) => remainder(value, 2n) === 1n],
  ['even', (value) => remainder(value, 2n) === 0n],
  ['divisibleby', (value, divisor) => remainder(value, integer(divisor)) === 0n],
  ['lower', (value) => isCased(value, (text) => text.toLowerCase())],
  ['upper', (value) => isCased(value, (text) => text.toUpperCase())],
  ['sameas', (value, other) => isSame(value, other)],
  ['in', (value, container) => contains(container, value)],
  ...aliases(['eq', 'equalto', '=='], areEqual),
  ...aliases(['ne', '!='], (a, b) => !areEqual(a, b)),
  ...aliases(['lt', 'lessthan', '<'], (a, b) => compare(a, b) < 0),
  ...aliases(['le', '<='], (a, b) => compare(a, b) <= 0),
  ...aliases(['gt', 'greaterthan', '>'], (a, b) => compare(a, b) > 0),
  ...aliases(['ge', '>='], (a, b) => compare(a, b) >= 0),
]);

function aliases(names: readonly string[], test: Test): [string, Test][] {
  return names.map((name) => [name, test]);
}

function isSequence(value: Value): boolean {
  return value instanceof Text || value instanceof List || value instanceof Dict;
}

function integer(value: Value): bigint {
  if (typeof value === 'boolean') return BigInt(value);
  if (typeof value === 'bigint') return value;
  throw new TypeError(`an integer is needed, got ${typeName(value)}`);
}

/** Returns a remainder with the divisor's sign, as in Python. */
function remainder(value: Value, divisor: bigint): bigint {
  if (divisor === 0n) throw new TypeError('division by zero');
  const rest = integer(value) % divisor;
  return rest !== 0n && rest < 0n !== divisor < 0n ? rest + divisor : rest;
}

function isCased(value: Value, recase: (text: string) => string): boolean {
  const text = value instanceof Text ? value.value : '';
  return /[\p{Lu}\p{Ll}\p{Lt}]/u.test(text) && recase(text) === text;
}

/** Compares what Python keeps once: None, booleans and small values. */
function isSame(a: Value, b: Value): boolean {
  return a === b || (a instanceof Text && b instanceof Text && a.value === b.value);
}

/** Tells whether a container holds a value, as Python's `in`. */
export function contains(container: Value, value: Value): boolean {
  const text = textOfParts(container);
  if (text !== undefined && value instanceof Text) return text.value.includes(value.value);
  if (container instanceof Dict) {
    return value instanceof Text && container.entries.has(value.value);
  }
  if (container instanceof Text) {
    throw new TypeError(`a str can only hold a str, not a ${typeName(value)}`);
  }
  return itemsOf(container).some((item) => areEqual(item, value));
}
