import {
  type ByteEdge,
  both,
  chars,
  choice,
  type GrammarNode,
  type MachineState,
  optional,
  repeat,
  sequence,
  text,
} from '../grammar-node.ts';
import { anyInteger, anyNumber, MAX_DIGITS } from './text.ts';

/** Bounds of a number; infinite where there is none. */
export interface NumberBounds {
  readonly min: number;
  readonly max: number;
  readonly excludesMin: boolean;
  readonly excludesMax: boolean;
}

/** Numbers at least as large have no digits behind the point: doubles would round them. */
const MAX_WITH_FRACTION = 1e6;
/** Most digits behind the point of a bounded number. */
const MAX_FRACTION = 6;
/** Most digits of a bound behind which more digits count, and most zeros in front of those. */
const MAX_EDGE = 6;
const MAX_ZEROS = 2;
/** Most remainders and places of the multiples of a number. */
const MAX_REMAINDERS = 10_000;
const LARGEST = 10 ** MAX_DIGITS - 1;

/** Numbers that a double keeps, without exponents. */
const anyDecimal = sequence(
  optional(text('-')),
  choice(text('0'), sequence(chars([0x31, 0x39]), repeat(chars([0x30, 0x39]), 0, 8))),
  optional(sequence(text('.'), repeat(chars([0x30, 0x39]), 1, MAX_FRACTION))),
);

const digits = (min: number, max: number) => repeat(chars([0x30, 0x39]), min, max);

export function isUnbounded({ min, max }: NumberBounds): boolean {
  return min === Number.NEGATIVE_INFINITY && max === Number.POSITIVE_INFINITY;
}

/** Makes the integers within bounds; none of them: a form that no text has. */
export function integerWithin(bounds: NumberBounds): GrammarNode {
  if (isUnbounded(bounds)) return anyInteger;
  const { min, max, excludesMin, excludesMax } = bounds;
  const first = excludesMin && Number.isInteger(min) ? min + 1 : Math.ceil(min);
  const last = excludesMax && Number.isInteger(max) ? max - 1 : Math.floor(max);
  return integers(Math.max(first, -LARGEST), Math.min(last, LARGEST));
}

/** Makes the multiples of a step within bounds; `step` is above 0. Throws RangeError for too fine a step. */
export function multiplesWithin(step: number, bounds: NumberBounds): GrammarNode {
  const [whole = '', behind = ''] = plainDigits(step).split('.');
  const unit = Number(whole + behind);
  const numStates = unit * (behind.length + 2);
  if (!Number.isSafeInteger(unit) || numStates > MAX_REMAINDERS) throw new RangeError('too many');
  const isWhole = behind === '';
  const all = isUnbounded(bounds) && !isWhole ? anyDecimal : numberWithin(bounds);
  return both(isWhole ? integerWithin(bounds) : all, multiples(unit, behind.length));
}

/** Returns a number without an exponent. */
function plainDigits(value: number): string {
  const [digits = '', exponent] = String(value).split('e');
  if (exponent === undefined) return digits;
  const [whole = '', behind = ''] = digits.split('.');
  const point = Number(exponent);
  if (point >= 0) return whole + behind.padEnd(point, '0');
  return `0.${'0'.repeat(-point - 1)}${whole}${behind}`;
}

/**
 * Makes texts of digits that are multiples of `unit` times 10 to the power of `-places`, with at most
 * as many digits behind the point. A state is the remainder of the digits so far, and their place.
 */
function multiples(unit: number, places: number): GrammarNode {
  const digitEdges = (remainder: number, place: number): ByteEdge[] =>
    Array.from({ length: 10 }, (_, one) => ({
      first: 0x30 + one,
      last: 0x30 + one,
      to: place * unit + ((remainder * 10 + one) % unit),
    }));
  const byteEdge = (char: string, to: number): ByteEdge => {
    const byte = char.charCodeAt(0);
    return { first: byte, last: byte, to };
  };
  const states: MachineState[] = [];
  // Those behind the point with no digit yet come last.
  for (let place = 0; place <= places + 1; place++) {
    const next = place === 0 ? 0 : place <= places ? place + 1 : 1;
    for (let remainder = 0; remainder < unit; remainder++) {
      const isEnd = place <= places && (remainder * 10 ** (places - place)) % unit === 0;
      const edges = place === places && places > 0 ? [] : digitEdges(remainder, next);
      if (place === 0 && places > 0) edges.push(byteEdge('.', (places + 1) * unit + remainder));
      if (states.length === 0) edges.push(byteEdge('-', 0));
      states.push({ isFinal: isEnd, edges });
    }
  }
  return { kind: 'machine', states };
}

/** Makes the numbers within bounds, those with a bound without exponents. */
export function numberWithin(bounds: NumberBounds): GrammarNode {
  if (isUnbounded(bounds)) return anyNumber;
  const { min, max, excludesMin, excludesMax } = bounds;
  const positive = fractions({ min, max, excludesMin, excludesMax });
  const mirrored = { min: -max, max: -min, excludesMin: excludesMax, excludesMax: excludesMin };
  const negative = fractions(mirrored);
  return choice(
    integerWithin(bounds),
    ...positive,
    ...negative.map((node) => sequence(text('-'), node)),
  );
}

function integers(first: number, last: number): GrammarNode {
  const negative = last < 0 || first < 0;
  return choice(
    ...(last < 0 || first > last ? [] : [naturals(Math.max(0, first), last)]),
    ...(negative && first <= last
      ? [sequence(text('-'), naturals(Math.max(1, -last), -first))]
      : []),
  );
}

/** Makes the whole numbers from `first` to `last`, both at least 0 and written without an exponent. */
function naturals(first: number, last: number): GrammarNode {
  const [low, high] = [String(first), String(last)];
  const nodes: GrammarNode[] = [];
  for (let length = low.length; length <= high.length; length++) {
    const from = length === low.length ? low : `1${'0'.repeat(length - 1)}`;
    const to = length === high.length ? high : '9'.repeat(length);
    nodes.push(sameLength(from, to));
  }
  return choice(...nodes);
}

/** Makes the numbers between two with as many digits. */
function sameLength(from: string, to: string): GrammarNode {
  const [a, b] = [Number(from[0] ?? 0), Number(to[0] ?? 0)];
  const [restFrom, restTo] = [from.slice(1), to.slice(1)];
  if (/^0*$/.test(from) && /^9*$/.test(to)) return digits(from.length, from.length);
  if (from.length === 1) return digit(a, b);
  if (a === b) return sequence(digit(a, a), sameLength(restFrom, restTo));
  const [zeros, nines] = ['0'.repeat(restFrom.length), '9'.repeat(restFrom.length)];
  return choice(
    sequence(digit(a, a), sameLength(restFrom, nines)),
    ...(b - a > 1 ? [sequence(digit(a + 1, b - 1), digits(restFrom.length, restFrom.length))] : []),
    sequence(digit(b, b), sameLength(zeros, restTo)),
  );
}

function digit(from: number, to: number): GrammarNode {
  return chars([0x30 + from, 0x30 + to]);
}

/** Makes the numbers of at least 0 within bounds that have digits behind the point. */
function fractions({ min, max, excludesMin, excludesMax }: NumberBounds): GrammarNode[] {
  const low = Math.max(0, min);
  const high = Math.min(max, MAX_WITH_FRACTION);
  if (low > high) return [];
  const nodes: GrammarNode[] = [];
  const firstWhole = Math.ceil(low);
  const lastWhole = Math.floor(high) - 1;
  // N.F lies within N and N + 1.
  const excludesFirst = excludesMin && firstWhole === min;
  if (firstWhole <= lastWhole) {
    const from = excludesFirst ? firstWhole + 1 : firstWhole;
    const tail = sequence(text('.'), digits(1, MAX_FRACTION));
    if (from <= lastWhole) nodes.push(sequence(naturals(from, lastWhole), tail));
    if (excludesFirst) nodes.push(within(firstWhole, { above: '0', isAbove: true }));
  }
  const [lowWhole, highWhole] = [Math.floor(low), Math.floor(high)];
  const below = decimals(high - highWhole, high);
  const above = decimals(low - lowWhole, low);
  if (low !== lowWhole && lowWhole < highWhole) {
    nodes.push(within(lowWhole, { above, isAbove: excludesMin }));
  }
  if (high !== highWhole && highWhole < MAX_WITH_FRACTION) {
    const isSame = lowWhole === highWhole && (low !== lowWhole || excludesMin);
    nodes.push(
      within(highWhole, {
        below,
        isBelow: excludesMax && high === max,
        ...(isSame && { above, isAbove: excludesMin }),
      }),
    );
  }
  return nodes;
}

/** Returns the digits behind the point of a number. */
function decimals(fraction: number, number: number): string {
  if (fraction === 0) return '0';
  const [, behind = '0'] = String(number).split('.');
  return behind;
}

/** How digits that are equal to those of a bound may go on. */
interface EdgeRule {
  readonly isAbove: boolean;
  readonly isBelow: boolean;
  /** Whether a double could not tell what follows from the bound. */
  readonly isLong: boolean;
}

interface FractionBounds {
  readonly above?: string;
  readonly isAbove?: boolean;
  readonly below?: string;
  readonly isBelow?: boolean;
}

/** Makes a whole number with digits behind the point that lie within bounds, digit by digit. */
function within(whole: number, bounds: FractionBounds): GrammarNode {
  const { above = '', below, isAbove = false, isBelow = false } = bounds;
  const length = Math.max(above.length, below?.length ?? 0, 1);
  const low = above.padEnd(length, '0');
  const high = below?.padEnd(length, '0');
  const node = fractionDigits(low, high, { isAbove, isBelow, isLong: length > MAX_EDGE }, length);
  return sequence(text(String(whole)), text('.'), node);
}

function fractionDigits(
  low: string | undefined,
  high: string | undefined,
  is: EdgeRule,
  length: number,
): GrammarNode {
  if (length === 0) return edge(low, high, is);
  const from = low === undefined ? 0 : Number(low[0]);
  const to = high === undefined ? 9 : Number(high[0]);
  const nodes: GrammarNode[] = [];
  for (let one = from; one <= to; one++) {
    const lowRest = low !== undefined && one === from ? low.slice(1) : undefined;
    const highRest = high !== undefined && one === to ? high.slice(1) : undefined;
    const isFree = lowRest === undefined && highRest === undefined;
    const rest = isFree
      ? digits(0, MAX_FRACTION)
      : fractionDigits(lowRest, highRest, is, length - 1);
    nodes.push(sequence(digit(one, one), rest));
  }
  return choice(...nodes);
}

/** Makes what may follow digits that are equal to those of a bound. */
function edge(
  low: string | undefined,
  high: string | undefined,
  { isAbove, isBelow, isLong }: EdgeRule,
): GrammarNode {
  const zeros = repeat(text('0'), 0, MAX_ZEROS);
  if (high !== undefined) return isBelow || (low !== undefined && isAbove) ? choice() : zeros;
  if (low !== undefined && isAbove) {
    return isLong ? choice() : sequence(zeros, digit(1, 9));
  }
  return optional(digits(1, MAX_FRACTION));
}
