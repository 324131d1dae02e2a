import { attributeSteps } from './arguments.ts';
import { floatText, represent, toText } from './python-text.ts';
import { Text } from './text.ts';
import { type Arguments, Dict, List, numberOf, typeName, type Value } from './value.ts';

/** How one value is laid out. */
interface Layout {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly isAlternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

const MAX_WIDTH = 10_000;

const PERCENT =
  /%(?:\((?<name>[^)]*)\))?(?<flags>[-+ #0]*)(?<width>\d*)(?:\.(?<precision>\d+))?(?<type>[a-zA-Z%]|$)/g;

/** Formats as Python's `text % value`. */
export function formatPercent(pattern: Text, value: Value): Text {
  const items = value instanceof List && value.isTuple ? value.items : [value];
  const pieces: Text[] = [];
  let [next, used] = [0, 0];
  for (const match of pattern.value.matchAll(PERCENT)) {
    const { name, flags = '', width = '', precision, type = '' } = match.groups ?? {};
    pieces.push(pattern.slice(next, match.index));
    next = match.index + match[0].length;
    if (type === '%') {
      pieces.push(Text.of('%'));
      continue;
    }
    const argument = name === undefined ? items[used++] : entry(value, name);
    if (argument === undefined) throw new TypeError('not enough arguments for the format text');
    pieces.push(percentItem(argument, { flags, width, precision, type }));
  }
  pieces.push(pattern.slice(next));
  if (used < items.length && !(value instanceof Dict)) {
    throw new TypeError('not all arguments are used by the format text');
  }
  return Text.join(pieces);
}

function entry(value: Value, name: string): Value {
  const found = value instanceof Dict ? value.get(name) : undefined;
  if (found === undefined) throw new TypeError(`the format text wants "${name}"`);
  return found;
}

function percentItem(
  argument: Value,
  spec: {
    readonly flags: string;
    readonly width: string;
    readonly precision: string | undefined;
    readonly type: string;
  },
): Text {
  const { flags, width, precision, type } = spec;
  const isLeft = flags.includes('-');
  const isText = 'rsac'.includes(type);
  const isPadded = flags.includes('0') && !isLeft && !isText;
  const layout: Layout = {
    fill: isPadded ? '0' : ' ',
    align: isLeft ? '<' : isPadded ? '=' : '>',
    sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-',
    isAlternate: flags.includes('#'),
    width: Number(width),
    grouping: '',
    precision: precision === undefined ? undefined : Number(precision),
    type: type === 'i' || type === 'u' ? 'd' : type,
  };
  if (type === 's') return laidOut(toText(argument), layout);
  if (type === 'r') return laidOut(represent(argument), layout);
  const number = numberOf(argument);
  if (number === undefined) {
    throw new TypeError(`%${type} needs a number, got ${typeName(argument)}`);
  }
  const isInteger = layout.type === 'd' || layout.type === 'x' || layout.type === 'o';
  const cut = isInteger && typeof number === 'number' ? BigInt(Math.trunc(number)) : number;
  return laidOut(cut, layout);
}

const FIELD = /\{\{|\}\}|\{(?<path>[^{}!:]*)(?:!(?<conversion>[rs]))?(?::(?<spec>[^{}]*))?\}|[{}]/g;

/** Reads an attribute of a value, for fields such as `{0.name}`. */
type ReadAttribute = (value: Value, name: Value) => Value;

/** Formats as Python's `text.format(...)`. */
export function formatBraces(pattern: Text, args: Arguments, read: ReadAttribute): Text {
  const pieces: Text[] = [];
  let [next, automatic] = [0, 0];
  for (const match of pattern.value.matchAll(FIELD)) {
    pieces.push(pattern.slice(next, match.index));
    next = match.index + match[0].length;
    const { path, conversion, spec = '' } = match.groups ?? {};
    if (path === undefined) {
      if (match[0].length === 1) throw new TypeError(`format text: a single "${match[0]}"`);
      pieces.push(pattern.slice(match.index, match.index + 1));
      continue;
    }
    const isAutomatic = path === '' || path.startsWith('.') || path.startsWith('[');
    const value = fieldValue(isAutomatic ? `${automatic++}${path}` : path, args, read);
    const layout = parseLayout(spec);
    const shown =
      conversion === 'r' ? represent(value) : conversion === 's' ? toText(value) : value;
    pieces.push(laidOut(numberOf(shown) ?? toText(shown), layout));
  }
  pieces.push(pattern.slice(next));
  return Text.join(pieces);
}

function fieldValue(path: string, { positional, named }: Arguments, read: ReadAttribute): Value {
  const [name = '', ...steps] = path.replace(/\[([^\]]*)\]/g, '.$1').split('.');
  const first = /^\d+$/.test(name) ? positional[Number(name)] : named.get(name);
  if (first === undefined) throw new TypeError(`the format text wants "${name}"`);
  return steps
    .flatMap((step) => attributeSteps(Text.of(step)))
    .reduce<Value>((value, step) => read(value, step), first);
}

const SPEC =
  /^(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<alternate>#)?(?<zero>0)?(?<width>\d*)(?<grouping>[,_])?(?:\.(?<precision>\d+))?(?<type>[a-zA-Z%])?$/u;

function parseLayout(spec: string): Layout {
  const groups = SPEC.exec(spec)?.groups;
  if (groups === undefined) throw new TypeError(`format text: unknown layout "${spec}"`);
  const { fill, align, sign, alternate, zero, width, grouping, precision, type } = groups;
  return {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: align ?? (zero === undefined ? '' : '='),
    sign: sign ?? '-',
    isAlternate: alternate !== undefined,
    width: Number(width),
    grouping: grouping ?? '',
    precision: precision === undefined ? undefined : Number(precision),
    type: type ?? '',
  };
}

function laidOut(value: Text | bigint | number, layout: Layout): Text {
  const { fill, align, width } = layout;
  if (width > MAX_WIDTH) throw new RangeError(`format text: a width of ${width}`);
  if (value instanceof Text) {
    if (layout.type !== '' && !'rs'.includes(layout.type)) throw unknownType(layout.type);
    const shown = layout.precision === undefined ? value : firstCharacters(value, layout.precision);
    const missing = Math.max(0, width - [...shown.value].length);
    return padded(shown, { missing, fill, align: align === '' || align === '=' ? '<' : align });
  }
  const { sign, digits } = numberText(value, layout);
  const missing = Math.max(0, width - sign.length - digits.length);
  if (align === '=') return Text.of(`${sign}${fill.repeat(missing)}${digits}`);
  return padded(Text.of(sign + digits), { missing, fill, align: align === '' ? '>' : align });
}

function firstCharacters(text: Text, count: number): Text {
  return text.slice(0, [...text.value].slice(0, count).join('').length);
}

function padded(
  text: Text,
  {
    missing,
    fill,
    align,
  }: { readonly missing: number; readonly fill: string; readonly align: string },
): Text {
  const left = align === '<' ? 0 : align === '>' ? missing : Math.floor(missing / 2);
  return Text.join([Text.of(fill.repeat(left)), text, Text.of(fill.repeat(missing - left))]);
}

function numberText(
  value: bigint | number,
  layout: Layout,
): { readonly sign: string; readonly digits: string } {
  const isNegative = value < 0 || Object.is(value, -0);
  const sign = isNegative ? '-' : layout.sign === '-' ? '' : layout.sign;
  const size = isNegative ? -value : value;
  const digits = digitsOf(size, layout);
  return { sign, digits: layout.grouping === '' ? digits : grouped(digits, layout.grouping) };
}

function digitsOf(size: bigint | number, { type, precision, isAlternate }: Layout): string {
  const prefix = (text: string) => (isAlternate ? text : '');
  if (typeof size === 'bigint') {
    switch (type) {
      case '':
      case 'd':
        return size.toString();
      case 'x':
        return prefix('0x') + size.toString(16);
      case 'X':
        return prefix('0X') + size.toString(16).toUpperCase();
      case 'o':
        return prefix('0o') + size.toString(8);
      case 'b':
        return prefix('0b') + size.toString(2);
    }
  }
  const number = Number(size);
  switch (type) {
    case '':
      if (precision === undefined) return floatText(number);
      break;
    case 'f':
    case 'F':
      return number.toFixed(precision ?? 6);
    case '%':
      return `${(number * 100).toFixed(precision ?? 6)}%`;
    case 'e':
      return exponential(number, precision ?? 6);
  }
  throw unknownType(type);
}

function exponential(number: number, precision: number): string {
  const [mantissa = '', exponent = '0'] = number.toExponential(precision).split('e');
  const sign = Number(exponent) < 0 ? '-' : '+';
  return `${mantissa}e${sign}${Math.abs(Number(exponent)).toString().padStart(2, '0')}`;
}

function grouped(digits: string, separator: string): string {
  const [whole = '', ...rest] = digits.split(/(?=[.e%])/);
  return whole.replace(/\B(?=(\d{3})+$)/g, separator) + rest.join('');
}

function unknownType(type: string): TypeError {
  return new TypeError(`format text: the type "${type}" cannot be written here`);
}
