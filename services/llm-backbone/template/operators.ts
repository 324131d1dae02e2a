import { formatPercent } from './format.ts';
import { toText } from './python-text.ts';
import { contains } from './tests.ts';
import { Text } from './text.ts';
import { repeated } from './text-methods.ts';
import {
  areEqual,
  compare,
  List,
  numberOf,
  textOfParts,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

const MAX_EXPONENT = 1024n;
const MAX_LIST = 100_000;

export type Operator = (a: Value, b: Value) => Value;

/** Python's operators with two sides, but those that do not always read both. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['==', areEqual],
  ['!=', (a, b) => !areEqual(a, b)],
  ['<', (a, b) => compare(a, b) < 0],
  ['<=', (a, b) => compare(a, b) <= 0],
  ['>', (a, b) => compare(a, b) > 0],
  ['>=', (a, b) => compare(a, b) >= 0],
  ['in', (a, b) => contains(b, a)],
  ['not in', (a, b) => !contains(b, a)],
  ['~', (a, b) => Text.join([toText(a), toText(b)])],
  ['+', add],
  ['-', (a, b) => arithmetic('-', a, b)],
  ['*', multiply],
  ['/', (a, b) => Number(operand('/', a, b)) / nonZero(Number(operand('/', b, a)))],
  ['//', (a, b) => arithmetic('//', a, b)],
  ['%', modulo],
  ['**', (a, b) => arithmetic('**', a, b)],
]);

/** Comparisons, which Jinja chains as Python does: `a < b < c`. */
export const COMPARISONS: ReadonlySet<string> = new Set(
  '== != < <= > >= in'.split(' ').concat('not in'),
);

function add(a: Value, b: Value): Value {
  const [x, y] = [textOfParts(a), textOfParts(b)];
  if (x !== undefined && y !== undefined) return Text.join([x, y]);
  if (a instanceof List && b instanceof List && a.isTuple === b.isTuple) {
    return new List([...a.items, ...b.items], { isTuple: a.isTuple });
  }
  return arithmetic('+', a, b);
}

function multiply(a: Value, b: Value): Value {
  const [times, other] = typeof a === 'bigint' ? [a, b] : [b, a];
  if (typeof times === 'bigint') {
    if (other instanceof Text) return repeated(other, Number(times));
    if (other instanceof List) return repeatedList(other, Number(times));
  }
  return arithmetic('*', a, b);
}

function repeatedList(list: List, times: number): List {
  if (list.items.length * times > MAX_LIST) throw new RangeError('the list grows too long');
  const copies = Array.from({ length: Math.max(0, times) }, () => list.items);
  return new List(copies.flat(), { isTuple: list.isTuple });
}

function modulo(a: Value, b: Value): Value {
  return a instanceof Text ? formatPercent(a, b) : arithmetic('%', a, b);
}

function operand(operator: string, value: Value, other: Value): bigint | number {
  const number = numberOf(value);
  if (number !== undefined) return number;
  const undefinedOne = value instanceof Undefined ? value : other;
  if (undefinedOne instanceof Undefined) {
    throw new TypeError(`"${undefinedOne.name}" is undefined`);
  }
  throw new TypeError(`no "${operator}" between ${typeName(value)} and ${typeName(other)}`);
}

function nonZero<N extends bigint | number>(divisor: N): N {
  // biome-ignore lint/suspicious/noDoubleEquals: it may be an integer or a float.
  if (divisor == 0) throw new TypeError('division by zero');
  return divisor;
}

function arithmetic(operator: '+' | '-' | '*' | '//' | '%' | '**', a: Value, b: Value): Value {
  const [x, y] = [operand(operator, a, b), operand(operator, b, a)];
  return typeof x === 'bigint' && typeof y === 'bigint'
    ? integers(operator, x, y)
    : floats(operator, Number(x), Number(y));
}

function integers(operator: string, x: bigint, y: bigint): bigint | number {
  switch (operator) {
    case '+':
      return x + y;
    case '-':
      return x - y;
    case '*':
      return x * y;
    case '//':
      return (x - floorRemainder(x, nonZero(y))) / y;
    case '%':
      return floorRemainder(x, nonZero(y));
    default:
      if (y > MAX_EXPONENT) throw new RangeError(`an exponent of ${y}`);
      return y < 0n ? Number(nonZero(x)) ** Number(y) : x ** y;
  }
}

function floorRemainder(x: bigint, y: bigint): bigint {
  const rest = x % y;
  return rest !== 0n && rest < 0n !== y < 0n ? rest + y : rest;
}

function floats(operator: string, x: number, y: number): number {
  switch (operator) {
    case '+':
      return x + y;
    case '-':
      return x - y;
    case '*':
      return x * y;
    case '//':
      return Math.floor(x / nonZero(y));
    case '%':
      return x - y * Math.floor(x / nonZero(y));
    default:
      return x ** y;
  }
}
