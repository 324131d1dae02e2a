import { choice, type GrammarNode } from '../grammar-node.ts';
import type { SchemaObject } from './keywords.ts';
import { exclusionsOf } from './negation.ts';
import { integerWithin, multiplesWithin, type NumberBounds, numberWithin } from './number.ts';
import { refusal } from './values.ts';

/** Reads the numbers of a schema. */
export function numberNode(
  type: 'number' | 'integer',
  schema: SchemaObject,
  place: string,
): GrammarNode {
  const step = schema['multipleOf'] ?? 1;
  if (typeof step !== 'number' || step <= 0) {
    throw refusal(`${place}.multipleOf`, 'must be a number above 0');
  }
  const isWhole = type === 'integer' || (schema['multipleOf'] !== undefined && step === 1);
  if (isWhole && !Number.isInteger(step)) {
    throw refusal(`${place}.multipleOf`, 'must be an integer for integers');
  }
  const ranges = rangesWithout(
    exclusionsOf(schema['not']).values.filter((one) => typeof one === 'number'),
    boundsOf(schema, place),
  );
  return choice(
    ...ranges.map((bounds) => {
      if (step !== 1) return stepNode(step, bounds, place);
      return isWhole ? integerWithin(bounds) : numberWithin(bounds);
    }),
  );
}

function stepNode(step: number, bounds: NumberBounds, place: string): GrammarNode {
  try {
    return multiplesWithin(step, bounds);
  } catch (error: unknown) {
    if (!(error instanceof RangeError)) throw error;
    throw refusal(`${place}.multipleOf`, 'is a number with too many digits');
  }
}

function boundsOf(schema: SchemaObject, place: string): NumberBounds {
  const min = bound(schema, 'minimum', place) ?? Number.NEGATIVE_INFINITY;
  const max = bound(schema, 'maximum', place) ?? Number.POSITIVE_INFINITY;
  // Draft 4 has flags beside the bounds.
  const above = limitOf(schema, 'exclusiveMinimum', min, place) ?? Number.NEGATIVE_INFINITY;
  const below = limitOf(schema, 'exclusiveMaximum', max, place) ?? Number.POSITIVE_INFINITY;
  return {
    min: Math.max(min, above),
    max: Math.min(max, below),
    excludesMin: above >= min && above !== Number.NEGATIVE_INFINITY,
    excludesMax: below <= max && below !== Number.POSITIVE_INFINITY,
  };
}

/** Returns the parts that bounds fall into where numbers between them are left out. */
function rangesWithout(excluded: readonly number[], bounds: NumberBounds): NumberBounds[] {
  const ranges: NumberBounds[] = [];
  let rest = bounds;
  for (const value of [...new Set(excluded)].sort((a, b) => a - b)) {
    if (value < rest.min || value > rest.max) continue;
    ranges.push({ ...rest, max: value, excludesMax: true });
    rest = { ...rest, min: value, excludesMin: true };
  }
  const isEmpty = ({ min, max, excludesMin, excludesMax }: NumberBounds) =>
    min > max || (min === max && (excludesMin || excludesMax));
  return [...ranges, rest].filter((one) => !isEmpty(one));
}

function bound(schema: SchemaObject, keyword: string, place: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  const isPlain =
    typeof value === 'number' && (Number.isInteger(value) || !String(value).includes('e'));
  if (isPlain) return value;
  throw refusal(`${place}.${keyword}`, 'must be a number that is written without an exponent');
}

/** Reads an exclusive bound, a number or a flag about the bound beside it. */
function limitOf(
  schema: SchemaObject,
  keyword: string,
  beside: number,
  place: string,
): number | undefined {
  const value = schema[keyword];
  if (typeof value !== 'boolean') return bound(schema, keyword, place);
  return value && Number.isFinite(beside) ? beside : undefined;
}
