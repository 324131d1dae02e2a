import { isRecord } from '#mesh/json-value.ts';
import { TooComplex } from '../grammar-refusal.ts';
import type { JsonType, SchemaObject } from './keywords.ts';
import type { References } from './references.ts';
import { canonicalJson, listOf, recordOf, typeOf, typesOf, valuesOf } from './values.ts';

/** Most members within each other that are looked at. */
const MAX_DEPTH = 8;
/** Most pairs of schemas that are compared. */
const MAX_PAIRS = 200_000;

/** Compares the schemas of one schema. */
export class Comparison {
  readonly #references: References;
  #numPairs = 0;

  constructor(references: References) {
    this.#references = references;
  }

  /** Tells whether it is sure that no value is valid by two schemas. */
  isDisjoint(a: unknown, b: unknown, depth = 0): boolean {
    if (++this.#numPairs > MAX_PAIRS) throw new TooComplex('it has too many alternatives in oneOf');
    if (a === false || b === false) return true;
    if (!isRecord(a) || !isRecord(b) || depth > MAX_DEPTH) return false;
    const [left, right] = [valuesOf(a), valuesOf(b)];
    if (left !== undefined && right !== undefined) {
      const texts = new Set(left.map(canonicalJson));
      return !right.some((one) => texts.has(canonicalJson(one)));
    }
    const [types, others] = [left?.map(typeOf) ?? typesOf(a), right?.map(typeOf) ?? typesOf(b)];
    if (types !== undefined && others !== undefined) {
      if (!types.some((one) => others.some(overlaps(one)))) return true;
    }
    if (!areObjects(types) || !areObjects(others)) return false;
    // What one requires is there, and the other says what it is.
    const required = new Set([...listOf(a['required']), ...listOf(b['required'])]);
    return [...required].some((name) =>
      this.isDisjoint(this.#property(a, name), this.#property(b, name), depth + 1),
    );
  }

  /** Tells whether it is sure that no value is valid by two of some schemas. */
  areDisjoint(schemas: readonly unknown[]): boolean {
    const listed = schemas.map((one) => (isRecord(one) ? valuesOf(one) : undefined));
    if (listed.every((values) => values !== undefined)) {
      const texts = listed.flatMap((values) => [...new Set(values.map(canonicalJson))]);
      return new Set(texts).size === texts.length;
    }
    return schemas.every((one, i) =>
      schemas.slice(0, i).every((other) => this.isDisjoint(one, other)),
    );
  }

  #property(schema: SchemaObject, name: unknown): unknown {
    const properties = recordOf(schema['properties']);
    const isThere = typeof name === 'string' && Object.hasOwn(properties, name);
    if (isThere) return this.#references.resolved(properties[name], '');
    return schema['additionalProperties'] !== false || schema['patternProperties'] !== undefined;
  }
}

function areObjects(types: readonly JsonType[] | undefined): boolean {
  return types?.length === 1 && types[0] === 'object';
}

function overlaps(type: JsonType): (other: JsonType) => boolean {
  const family = (one: JsonType) => (one === 'integer' ? 'number' : one);
  return (other) => family(other) === family(type);
}
