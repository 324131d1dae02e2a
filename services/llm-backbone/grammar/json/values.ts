import { isRecord } from '#mesh/json-value.ts';
import { formRefusal } from '../grammar-refusal.ts';
import { type JsonType, type SchemaObject, TYPES } from './keywords.ts';

/** Makes a refusal of a schema with the place in it. */
export function refusal(place: string, message: string) {
  return formRefusal('json_schema', place, message);
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function recordOf(value: unknown): SchemaObject {
  return isRecord(value) ? value : {};
}

/** Reads a keyword whose value is an object of names. */
export function namesAt(schema: SchemaObject, keyword: string, place: string): SchemaObject {
  const value = schema[keyword] ?? {};
  if (isRecord(value)) return value;
  throw refusal(`${place}.${keyword}`, 'must be an object');
}

/** Reads a keyword that counts something. */
export function count(schema: SchemaObject, keyword: string, place: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw refusal(`${place}.${keyword}`, 'must be a whole number of at least 0');
}

/** Reads what a list or an object may have of something at least and at most. */
export function range(
  schema: SchemaObject,
  [least, most]: readonly [least: string, most: string],
  place: string,
): { readonly min: number; readonly max: number } {
  return {
    min: count(schema, least, place) ?? 0,
    max: count(schema, most, place) ?? Number.POSITIVE_INFINITY,
  };
}

/** Returns the JSON of a value; equal for values that JSON Schema calls equal. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (!isRecord(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
  return `{${members.join()}}`;
}

/** Returns the values that `enum` and `const` leave; undefined if there is neither. */
export function valuesOf(schema: SchemaObject): readonly unknown[] | undefined {
  const { enum: values } = schema;
  const list = Array.isArray(values) ? values : undefined;
  if (!Object.hasOwn(schema, 'const')) return list;
  const own = canonicalJson(schema['const']);
  const isListed = list === undefined || list.some((one) => canonicalJson(one) === own);
  return isListed ? [schema['const']] : [];
}

export function typesOf(schema: SchemaObject, place = ''): readonly JsonType[] | undefined {
  const { type, nullable } = schema;
  if (type === undefined) return undefined;
  const types = Array.isArray(type) ? type : [type];
  const known = types.map((one) => {
    const found = TYPES.find((name) => name === one);
    if (found === undefined) throw refusal(`${place}.type`, `must be of ${TYPES.join(', ')}`);
    return found;
  });
  // The integers are numbers already.
  const distinct = new Set(known);
  if (distinct.has('number')) distinct.delete('integer');
  if (nullable === true) distinct.add('null');
  return [...distinct];
}

export function typeOf(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'string';
    default:
      return 'object';
  }
}

export function isOfType(value: unknown, type: JsonType): boolean {
  return type === 'integer' ? Number.isInteger(value) : typeOf(value) === type;
}
