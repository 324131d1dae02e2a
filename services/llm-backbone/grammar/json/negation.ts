import { isRecord } from '#mesh/json-value.ts';
import { TooComplex } from '../grammar-refusal.ts';
import { isAnnotation, type JsonType, type SchemaObject, TYPES } from './keywords.ts';
import { listOf, recordOf, refusal, typesOf } from './values.ts';

/** Most schemas within each other of which the contrary is made. */
const MAX_DEPTH = 32;
/** Most schemas of which the contrary is made. */
const MAX_SCHEMAS = 10_000;

/** Makes a schema without references, `if`, and the like of one that has them. */
export type Simplify = (schema: unknown, place: string) => SchemaObject | boolean;

type Contrary = (limit: unknown, at: string, schema: SchemaObject) => readonly unknown[];

/**
 * Makes the schemas of what is not valid. A list or an object beside those that are meant may be
 * missing from them, never one too many.
 */
export class Negation {
  readonly #simplify: Simplify;
  #numSchemas = 0;
  #depth = 0;

  constructor(simplify: Simplify) {
    this.#simplify = simplify;
  }

  /** Returns the schema of the values for which another does not hold; refuses what has none. */
  of(schema: unknown, place: string): unknown {
    if (++this.#numSchemas > MAX_SCHEMAS) {
      throw new TooComplex('it has too many schemas within not, if or oneOf');
    }
    if (++this.#depth > MAX_DEPTH) throw refusal(place, `more than ${MAX_DEPTH} schemas deep`);
    const plain = this.#simplify(schema, place);
    const contrary = typeof plain === 'boolean' ? !plain : this.#ofObject(plain, place);
    this.#depth--;
    return contrary;
  }

  #ofObject(schema: SchemaObject, place: string): unknown {
    const ways = Object.entries(schema).flatMap(([keyword, limit]) => {
      if (isAnnotation(keyword) || keyword === 'nullable') return [];
      const at = `${place}.${keyword}`;
      const contrary = Object.hasOwn(this.#contraries, keyword)
        ? this.#contraries[keyword]
        : undefined;
      if (contrary === undefined) throw refusal(at, 'is not supported within not, if or oneOf');
      return contrary(limit, at, schema);
    });
    const possible = ways.filter((one) => one !== false);
    if (possible.length === 0) return false;
    return possible.length === 1 ? possible[0] : { anyOf: possible };
  }

  readonly #contraries: Readonly<Record<string, Contrary>> = {
    type: (_, at, schema) => [ofOtherTypes(typesOf(schema, at) ?? [])],
    enum: (limit) => [{ not: { enum: listOf(limit) } }],
    const: (limit) => [{ not: { enum: [limit] } }],
    pattern: (limit) => [{ type: 'string', not: { pattern: limit } }],
    not: (limit) => [limit],
    allOf: (limit, at) => listOf(limit).map((one, i) => this.of(one, `${at}[${i}]`)),
    anyOf: (limit, at) => [{ allOf: listOf(limit).map((one, i) => this.of(one, `${at}[${i}]`)) }],
    minimum: (limit, at) => [{ type: 'number', exclusiveMaximum: numberOf(limit, at) }],
    maximum: (limit, at) => [{ type: 'number', exclusiveMinimum: numberOf(limit, at) }],
    exclusiveMinimum: (limit, at) => [{ type: 'number', maximum: numberOf(limit, at) }],
    exclusiveMaximum: (limit, at) => [{ type: 'number', minimum: numberOf(limit, at) }],
    minLength: (limit, at) => fewer('string', 'maxLength', numberOf(limit, at)),
    maxLength: (limit, at) => [{ type: 'string', minLength: numberOf(limit, at) + 1 }],
    minItems: (limit, at) => fewer('array', 'maxItems', numberOf(limit, at)),
    maxItems: (limit, at) => [{ type: 'array', minItems: numberOf(limit, at) + 1 }],
    minProperties: (limit, at) => fewer('object', 'maxProperties', numberOf(limit, at)),
    maxProperties: (limit, at) => [{ type: 'object', minProperties: numberOf(limit, at) + 1 }],
    required: (limit) =>
      listOf(limit).map((name) => ({ type: 'object', properties: { [String(name)]: false } })),
    properties: (limit, at) =>
      Object.entries(recordOf(limit)).map(([name, one]) => {
        const contrary = this.of(one, `${at}.${name}`);
        return contrary === false
          ? false
          : { type: 'object', properties: { [name]: contrary }, required: [name] };
      }),
    items: (limit, at, schema) => {
      if (schema['prefixItems'] !== undefined || Array.isArray(limit)) {
        throw refusal(at, 'is not supported with prefixItems within not, if or oneOf');
      }
      const contrary = this.of(limit, at);
      return [contrary === false ? false : { type: 'array', contains: contrary }];
    },
    contains: (limit, at, schema) => {
      if (schema['minContains'] !== undefined || schema['maxContains'] !== undefined) {
        throw refusal(
          at,
          'is not supported with minContains or maxContains within not, if or oneOf',
        );
      }
      return [{ type: 'array', items: this.of(limit, at) }];
    },
  };
}

/** Tells whether `not` has a form that is kept: values and patterns that texts must not have. */
export function isExclusion(schema: unknown): schema is SchemaObject {
  if (!isRecord(schema)) return false;
  const [keyword, ...others] = Object.keys(schema).filter((one) => !isAnnotation(one));
  if (keyword === undefined || others.length > 0) return false;
  if (keyword === 'anyOf') return listOf(schema['anyOf']).every(isExclusion);
  return (keyword === 'enum' && Array.isArray(schema['enum'])) || keyword === 'pattern';
}

/** Returns what a `not` of that form excludes. */
export function exclusionsOf(not: unknown): {
  readonly values: readonly unknown[];
  readonly patterns: readonly unknown[];
} {
  if (!isRecord(not)) return { values: [], patterns: [] };
  const parts = listOf(not['anyOf']).map(exclusionsOf);
  return {
    values: [...listOf(not['enum']), ...parts.flatMap(({ values }) => values)],
    patterns: [
      ...(not['pattern'] === undefined ? [] : [not['pattern']]),
      ...parts.flatMap(({ patterns }) => patterns),
    ],
  };
}

function ofOtherTypes(types: readonly JsonType[]): unknown {
  // Numbers that are no integers are not made: they are left out with the integers.
  const taken = new Set<JsonType>(types.includes('integer') ? [...types, 'number'] : types);
  const others = TYPES.filter((one) => one !== 'integer' && !taken.has(one));
  return others.length === 0 ? false : { type: others };
}

function fewer(type: JsonType, keyword: string, limit: number): readonly unknown[] {
  return limit === 0 ? [] : [{ type, [keyword]: limit - 1 }];
}

function numberOf(limit: unknown, at: string): number {
  if (typeof limit === 'number') return limit;
  throw refusal(at, 'must be a number');
}
