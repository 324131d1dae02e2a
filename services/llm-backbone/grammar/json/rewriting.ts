import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { Comparison } from './disjoint.ts';
import type { SchemaObject } from './keywords.ts';
import { isExclusion, Negation } from './negation.ts';
import type { References } from './references.ts';
import { listOf, namesAt, refusal } from './values.ts';

/**
 * Writes `if`, `not`, `oneOf` and what depends on members with `allOf` and `anyOf`, which are all
 * that is left of them, but for a `not` of values and patterns.
 */
export class Rewriting {
  readonly #references: References;
  readonly #negation: Negation;
  readonly #comparison: Comparison;
  /** Places of schemas that are not where the client wrote them. */
  readonly #places = new WeakMap<object, string>();

  constructor(references: References) {
    this.#references = references;
    this.#comparison = new Comparison(references);
    this.#negation = new Negation((schema, place) => {
      const resolved = references.resolved(schema, place);
      return typeof resolved === 'boolean' ? resolved : this.of(resolved, place);
    });
  }

  /** Returns the place of a schema, which may be one that was made here. */
  placeOf(schema: unknown, place: string): string {
    return (isRecord(schema) ? this.#places.get(schema) : undefined) ?? place;
  }

  of(schema: SchemaObject, place: string): SchemaObject {
    const {
      not,
      oneOf,
      if: condition,
      then,
      else: otherwise,
      dependentRequired,
      dependentSchemas,
      dependencies,
      ...rest
    } = schema;
    const added = [
      ...(oneOf === undefined ? [] : [this.#exclusive(listOf(oneOf), `${place}.oneOf`)]),
      ...(condition === undefined ? [] : this.#conditional(schema, place)),
      ...this.#dependent(schema, place),
    ];
    if (not !== undefined && !isExclusion(not)) {
      added.push(this.#at(this.#negation.of(not, `${place}.not`), `${place}.not`));
    }
    const kept = isExclusion(not) ? { ...rest, not } : rest;
    if (added.length === 0) return kept;
    return { ...kept, allOf: [...listOf(rest['allOf']), ...added] };
  }

  #at(schema: unknown, place: string): unknown {
    if (!isRecord(schema)) return schema;
    this.#places.set(schema, place);
    for (const one of listOf(schema['anyOf'])) this.#at(one, place);
    return schema;
  }

  #conditional({ if: condition, then, else: otherwise }: SchemaObject, place: string): unknown[] {
    if (then === undefined && otherwise === undefined) return [];
    const unless = this.#negation.of(condition, `${place}.if`);
    const ways = [
      this.#at({ allOf: [condition, then ?? true] }, `${place}.then`),
      this.#at({ allOf: [unless, otherwise ?? true] }, `${place}.else`),
    ];
    return [this.#at({ anyOf: ways }, `${place}.if`)];
  }

  #dependent(schema: SchemaObject, place: string): unknown[] {
    return ['dependentRequired', 'dependentSchemas', 'dependencies'].flatMap((keyword) =>
      Object.entries(namesAt(schema, keyword, place)).map(([name, one]) => {
        const at = `${place}.${keyword}.${name}`;
        const without = { properties: { [name]: false } };
        const limits = Array.isArray(one) ? { required: one } : { allOf: [one] };
        const ways = [without, { allOf: [{ required: [name] }, limits] }];
        return this.#at({ anyOf: ways }, at);
      }),
    );
  }

  /** Returns alternatives of which a value has exactly one. */
  #exclusive(alternatives: readonly unknown[], place: string): unknown {
    const resolved = alternatives.map((one, i) => this.#references.resolved(one, `${place}[${i}]`));
    const areDisjoint = this.#comparison.areDisjoint(resolved);
    const ways = alternatives.map((one, i) => {
      const at = `${place}[${i}]`;
      const others = alternatives.flatMap((other, j) => {
        if (areDisjoint || i === j || this.#comparison.isDisjoint(resolved[i], resolved[j]))
          return [];
        return [this.#contrary(other, { at, beside: j })];
      });
      if (others.length > 0) return this.#at({ allOf: [one, ...others] }, at);
      // A copy, as a schema may be referred to from elsewhere.
      return this.#at(isRecord(one) ? { ...one } : one, at);
    });
    return this.#at({ anyOf: ways }, place);
  }

  #contrary(other: unknown, { at, beside }: { readonly at: string; readonly beside: number }) {
    try {
      return this.#negation.of(other, at);
    } catch (error: unknown) {
      if (!(error instanceof MeshError)) throw error;
      const message = `may hold together with oneOf[${beside}]; use anyOf, or a property with a const`;
      throw refusal(at, message);
    }
  }
}
