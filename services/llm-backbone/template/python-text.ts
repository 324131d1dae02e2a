import { Text, TextBuilder } from './text.ts';
import { Callable, Dict, List, Loop, Namespace, typeName, Undefined, type Value } from './value.ts';

/** Writes a value as Python's `str`, which is what a template prints. */
export function toText(value: Value): Text {
  if (value instanceof Text) return value;
  if (value instanceof Undefined) return Text.empty();
  if (value instanceof List && value.text !== undefined) return value.text;
  return represent(value);
}

/** Writes a value as Python's `repr`. */
export function represent(value: Value): Text {
  if (value instanceof Text) return quoted(value);
  if (value === null) return Text.of('None');
  if (typeof value === 'boolean') return Text.of(value ? 'True' : 'False');
  if (typeof value === 'bigint') return Text.of(value.toString());
  if (typeof value === 'number') return Text.of(floatText(value));
  if (value instanceof Undefined) return Text.of('Undefined');
  if (value instanceof List) return representList(value);
  if (value instanceof Dict) return representDict(value);
  if (value instanceof Namespace || value instanceof Loop || value instanceof Callable) {
    throw new TypeError(`a ${typeName(value)} cannot be printed`);
  }
  return value satisfies never;
}

function representList({ items, isTuple }: List): Text {
  const inner = Text.join(items.map(represent), Text.of(', '));
  const [open, close] = isTuple ? ['(', items.length === 1 ? ',)' : ')'] : ['[', ']'];
  return Text.join([Text.of(open), inner, Text.of(close)]);
}

function representDict({ entries }: Dict): Text {
  const pairs = [...entries.values()].map(({ key, value }) =>
    Text.join([represent(key), Text.of(': '), represent(value)]),
  );
  return Text.join([Text.of('{'), Text.join(pairs, Text.of(', ')), Text.of('}')]);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** Characters that Python does not print as they are: separators and controls, except the space. */
const UNPRINTABLE = /[\\\n\r\t]|(?! )[\p{C}\p{Z}]/gu;

function quoted(text: Text): Text {
  const quote = text.value.includes("'") && !text.value.includes('"') ? '"' : "'";
  const inner = text.map((piece) => {
    const escaped = piece.replace(UNPRINTABLE, (one) => ESCAPES[one] ?? hexEscape(one));
    return quote === "'" ? escaped.replaceAll("'", "\\'") : escaped;
  });
  return Text.join([Text.of(quote), inner, Text.of(quote)]);
}

function hexEscape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = (digits: number) => code.toString(16).padStart(digits, '0');
  if (code < 0x100) return `\\x${hex(2)}`;
  return code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
}

/** Writes a floating-point number as Python does: 1.0, 1e+16, 1e-05. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [mantissa = '0', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const sign = exponent < 0 ? '-' : '+';
    return `${mantissa}e${sign}${Math.abs(exponent).toString().padStart(2, '0')}`;
  }
  if (Object.is(value, -0)) return '-0.0';
  const text = exponent < -6 || exponent >= 21 ? value.toFixed(20) : String(value);
  return Number.isInteger(value) ? `${text}.0` : text;
}

export interface JsonOptions {
  readonly ensureAscii: boolean;
  /** Spaces an inner line starts with; null: everything in one line. */
  readonly indent: number | null;
  readonly separators: readonly [Text, Text] | null;
  readonly sortKeys: boolean;
}

/** Writes a value as Python's `json.dumps`. */
export function toJson(value: Value, options: JsonOptions): Text {
  const builder = new TextBuilder();
  const [comma, colon] = options.separators ?? [
    Text.of(options.indent === null ? ', ' : ','),
    Text.of(': '),
  ];
  const write = (text: string) => builder.append(Text.of(text));
  const newline = (depth: number) => {
    if (options.indent !== null) write(`\n${' '.repeat(options.indent * depth)}`);
  };
  const list = (items: readonly (() => void)[], brackets: string, depth: number) => {
    write(brackets.slice(0, 1));
    items.forEach((item, i) => {
      if (i > 0) builder.append(comma);
      newline(depth + 1);
      item();
    });
    if (items.length > 0) newline(depth);
    write(brackets.slice(1));
  };
  const visit = (one: Value, depth: number): void => {
    if (one instanceof Text) builder.append(jsonText(one, options.ensureAscii));
    else if (one === null || typeof one === 'boolean') write(String(one));
    else if (typeof one === 'bigint') write(one.toString());
    else if (typeof one === 'number') write(jsonNumber(one));
    else if (one instanceof List) {
      const items = one.items.map((item) => () => visit(item, depth + 1));
      list(items, '[]', depth);
    } else if (one instanceof Dict) {
      const entries = [...one.entries.values()];
      if (options.sortKeys) entries.sort((a, b) => (a.key.value < b.key.value ? -1 : 1));
      const items = entries.map((entry) => () => {
        builder.append(jsonText(entry.key, options.ensureAscii));
        builder.append(colon);
        visit(entry.value, depth + 1);
      });
      list(items, '{}', depth);
    } else throw new TypeError(`a ${typeName(one)} cannot be written as JSON`);
  };
  visit(value, 0);
  return builder.build();
}

function jsonNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? floatText(value) : value > 0 ? 'Infinity' : '-Infinity';
}

const BEYOND_ASCII = /[\x7f-\uffff]/g;

function jsonText(text: Text, ensureAscii: boolean): Text {
  const inner = text.map((piece) => {
    const escaped = JSON.stringify(piece).slice(1, -1);
    if (!ensureAscii) return escaped;
    return escaped.replace(
      BEYOND_ASCII,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  });
  return Text.join([Text.of('"'), inner, Text.of('"')]);
}
