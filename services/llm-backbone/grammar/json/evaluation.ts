import { isRecord } from '#mesh/json-value.ts';
import { isAnnotation, type SchemaObject } from './keywords.ts';
import type { Patterns } from './patterns.ts';
import type { References } from './references.ts';
import { canonicalJson, isOfType, listOf, recordOf, refusal, typesOf } from './values.ts';

/** Most schemas by which the values of one schema are judged. */
const MAX_CHECKS = 100_000;
/** Most schemas within each other, references followed. */
const MAX_DEPTH = 64;

/** A keyword as it stands in a schema. */
interface Keyword {
  readonly limit: unknown;
  readonly schema: SchemaObject;
  readonly at: string;
}

type Checks<T> = Readonly<Record<string, (value: T, keyword: Keyword) => boolean>>;

/** Judges values that a schema lists by its other keywords. */
export class Evaluation {
  readonly #references: References;
  readonly #patterns: Patterns;
  readonly #texts = new WeakMap<readonly unknown[], ReadonlySet<string>>();
  #numChecks = 0;
  #depth = 0;

  constructor(references: References, patterns: Patterns) {
    this.#references = references;
    this.#patterns = patterns;
  }

  /** Tells whether a value is valid; refuses a keyword that it cannot judge by. */
  holds(value: unknown, schema: unknown, place: string): boolean {
    if (typeof schema === 'boolean') return schema;
    if (!isRecord(schema)) throw refusal(place, 'must be a schema: an object, true or false');
    if (++this.#numChecks > MAX_CHECKS || ++this.#depth > MAX_DEPTH) {
      throw refusal(place, 'the listed values are too many, or too deep, to be judged');
    }
    const isHeld = Object.entries(schema).every(
      ([keyword, limit]) =>
        isAnnotation(keyword) ||
        this.#check(value, keyword, { limit, schema, at: `${place}.${keyword}` }),
    );
    this.#depth--;
    return isHeld;
  }

  #check(value: unknown, name: string, keyword: Keyword): boolean {
    const combined = ownOf(this.#combining, name);
    if (combined !== undefined) return combined(value, keyword);
    const checks: readonly (readonly [isMeant: boolean, checks: Checks<never>])[] = [
      [typeof value === 'number', this.#numbers],
      [typeof value === 'string', this.#strings],
      [Array.isArray(value), this.#lists],
      [isRecord(value), this.#objects],
    ];
    for (const [isMeant, table] of checks) {
      const check = ownOf(table, name);
      if (check !== undefined) return !isMeant || check(value as never, keyword);
    }
    throw refusal(keyword.at, 'is not supported beside enum or const');
  }

  readonly #combining: Checks<unknown> = {
    $ref: (value, { limit, at }) => this.holds(value, this.#references.find(String(limit), at), at),
    type: (value, { schema }) => (typesOf(schema) ?? []).some((type) => isOfType(value, type)),
    nullable: () => true,
    enum: (value, { limit }) => this.#textsOf(listOf(limit)).has(canonicalJson(value)),
    const: (value, { limit }) => canonicalJson(limit) === canonicalJson(value),
    not: (value, { limit, at }) => !this.holds(value, limit, at),
    allOf: (value, { limit, at }) =>
      listOf(limit).every((one, i) => this.holds(value, one, `${at}[${i}]`)),
    anyOf: (value, { limit, at }) =>
      listOf(limit).some((one, i) => this.holds(value, one, `${at}[${i}]`)),
    oneOf: (value, { limit, at }) =>
      listOf(limit).filter((one, i) => this.holds(value, one, `${at}[${i}]`)).length === 1,
    if: (value, { limit, schema, at }) => {
      const branch = this.holds(value, limit, at) ? schema['then'] : schema['else'];
      return branch === undefined || this.holds(value, branch, at);
    },
    // Judged with `if`.
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's keyword.
    then: () => true,
    else: () => true,
  };

  readonly #numbers: Checks<number> = {
    minimum: (value, { limit, schema }) =>
      schema['exclusiveMinimum'] === true ? value > Number(limit) : value >= Number(limit),
    maximum: (value, { limit, schema }) =>
      schema['exclusiveMaximum'] === true ? value < Number(limit) : value <= Number(limit),
    exclusiveMinimum: (value, { limit }) => typeof limit === 'boolean' || value > Number(limit),
    exclusiveMaximum: (value, { limit }) => typeof limit === 'boolean' || value < Number(limit),
    multipleOf: (value, { limit, at }) => {
      if (Number.isInteger(limit) && limit !== 0) return value % Number(limit) === 0;
      throw refusal(at, 'is only supported as an integer beside enum or const');
    },
  };

  readonly #strings: Checks<string> = {
    minLength: (value, { limit }) => [...value].length >= Number(limit),
    maxLength: (value, { limit }) => [...value].length <= Number(limit),
    pattern: (value, { limit, at }) => this.#patterns.isIn(value, limit, at),
  };

  readonly #lists: Checks<readonly unknown[]> = {
    minItems: (value, { limit }) => value.length >= Number(limit),
    maxItems: (value, { limit }) => value.length <= Number(limit),
    uniqueItems: (value, { limit }) =>
      limit !== true || new Set(value.map(canonicalJson)).size === value.length,
    contains: (value, { limit, schema, at }) => {
      const { minContains = 1, maxContains = Number.POSITIVE_INFINITY } = schema;
      const found = value.filter((one) => this.holds(one, limit, at)).length;
      return Number(minContains) <= found && found <= Number(maxContains);
    },
    // Judged with `contains`.
    minContains: () => true,
    maxContains: () => true,
    prefixItems: (value, { limit, at }) => this.#haveForms(value, listOf(limit), at),
    items: (value, { limit, schema, at }) => {
      if (Array.isArray(limit)) return this.#haveForms(value, limit, at);
      const numFirst = listOf(schema['prefixItems']).length;
      return value.slice(numFirst).every((one) => this.holds(one, limit, at));
    },
  };

  readonly #objects: Checks<SchemaObject> = {
    minProperties: (value, { limit }) => Object.keys(value).length >= Number(limit),
    maxProperties: (value, { limit }) => Object.keys(value).length <= Number(limit),
    required: (value, { limit }) =>
      listOf(limit).every((name) => typeof name === 'string' && Object.hasOwn(value, name)),
    propertyNames: (value, { limit, at }) =>
      Object.keys(value).every((name) => this.holds(name, limit, at)),
    properties: (value, { limit, at }) =>
      Object.entries(recordOf(limit)).every(
        ([name, one]) =>
          !Object.hasOwn(value, name) || this.holds(value[name], one, `${at}.${name}`),
      ),
    patternProperties: (value, { limit, at }) =>
      Object.entries(recordOf(limit)).every(([pattern, one]) =>
        Object.entries(value).every(
          ([name, part]) =>
            !this.#patterns.isIn(name, pattern, `${at}.${pattern}`) ||
            this.holds(part, one, `${at}.${pattern}`),
        ),
      ),
    additionalProperties: (value, { limit, schema, at }) => {
      const named = recordOf(schema['properties']);
      const patterns = Object.keys(recordOf(schema['patternProperties']));
      return Object.entries(value).every(
        ([name, one]) =>
          Object.hasOwn(named, name) ||
          patterns.some((pattern) => this.#patterns.isIn(name, pattern, at)) ||
          this.holds(one, limit, at),
      );
    },
    dependentRequired: (value, { limit }) =>
      Object.entries(recordOf(limit)).every(
        ([name, needed]) =>
          !Object.hasOwn(value, name) ||
          listOf(needed).every((one) => Object.hasOwn(value, String(one))),
      ),
  };

  /** Returns the JSON of listed values, which each value is looked up in. */
  #textsOf(values: readonly unknown[]): ReadonlySet<string> {
    const known = this.#texts.get(values) ?? new Set(values.map(canonicalJson));
    this.#texts.set(values, known);
    return known;
  }

  #haveForms(value: readonly unknown[], first: readonly unknown[], at: string): boolean {
    return first.every((one, i) => i >= value.length || this.holds(value[i], one, `${at}[${i}]`));
  }
}

function ownOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
