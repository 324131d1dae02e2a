import { isRecord } from '#mesh/json-value.ts';
import { type Origin, Text } from './text.ts';
import { Dict, List, type Value } from './value.ts';

/** Texts and numbers of a JSON text, in a text that is known to be JSON. */
const LITERAL = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * Reads JSON as Python does: 1 and 1.0 differ, integers have all their digits, keys keep their
 * order. Throws a SyntaxError if it is none.
 */
export function readJson(text: string, origin: Origin): Value {
  JSON.parse(text);
  // JavaScript would lose what a number looked like and would sort keys that are numbers.
  const marked = text.replace(LITERAL, (one) =>
    one.startsWith('"') ? `"s${one.slice(1)}` : `"n${one}"`,
  );
  const parsed: unknown = JSON.parse(marked);
  return unmarked(parsed, origin);
}

function unmarked(value: unknown, origin: Origin): Value {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') {
    const literal = value.slice(1);
    return value.startsWith('s') ? Text.of(literal, origin) : numberIn(literal);
  }
  if (Array.isArray(value)) return new List(value.map((item: unknown) => unmarked(item, origin)));
  if (!isRecord(value)) return null;
  return new Dict(
    Object.entries(value).map(([key, item]) => ({
      key: Text.of(key.slice(1), origin),
      value: unmarked(item, origin),
    })),
  );
}

function numberIn(literal: string): bigint | number {
  return /^-?\d+$/.test(literal) ? BigInt(literal) : Number(literal);
}
