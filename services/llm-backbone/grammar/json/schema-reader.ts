import { isRecord } from '#mesh/json-value.ts';
import { choice, type GrammarNode, type GrammarRules, rule, text } from '../grammar-node.ts';
import { arrayNode } from './array.ts';
import { Evaluation } from './evaluation.ts';
import {
  COMBINING,
  isAnnotation,
  type JsonType,
  KEYWORD_TYPES,
  type SchemaObject,
  TYPES,
} from './keywords.ts';
import { CannotMerge, mergedSchemas } from './merge.ts';
import { exclusionsOf } from './negation.ts';
import { numberNode } from './number-schema.ts';
import { objectNode } from './object.ts';
import { Patterns } from './patterns.ts';
import type { Reading } from './reading.ts';
import { References } from './references.ts';
import { Rewriting } from './rewriting.ts';
import { stringNode } from './string.ts';
import { anyValue, JSON_RULES, literal } from './text.ts';
import { canonicalJson, isOfType, listOf, refusal, typesOf, valuesOf } from './values.ts';

/** Most schemas within each other, references followed. */
const MAX_DEPTH = 64;
/** Most lists and objects within each other in the JSON of a schema. */
const MAX_NESTING = 512;
/** Most schemas that are read, those of references as often as they are read anew. */
const MAX_SCHEMAS = 20_000;

/** A form that no text has. */
const NOTHING = choice();

/**
 * Reads a JSON Schema as a grammar of the JSON that it allows: not of all such JSON, but of nothing
 * else. Members come in the order of `properties`, an object has no others unless the schema says
 * `additionalProperties`. Refuses, with its place, what it does not enforce.
 */
export function jsonSchemaRules(source: string): GrammarRules {
  let schema: unknown;
  try {
    schema = JSON.parse(source);
  } catch {
    throw refusal('', 'is not JSON');
  }
  return new SchemaReader(schema).read();
}

/** Reads the schema of a part of another form. */
export class SchemaReader implements Reading {
  readonly rules = new Map<string, GrammarNode>(JSON_RULES);
  readonly patterns: Patterns;
  readonly evaluation: Evaluation;
  readonly #root: unknown;
  readonly #prefix: string;
  readonly #references: References;
  readonly #rewriting: Rewriting;
  #numSchemas = 0;
  #depth = 0;
  #numNames = 0;

  /** `prefix` keeps the rules of several schemas apart, which share what they may cost. */
  constructor(root: unknown, { prefix = '#', patterns = new Patterns() } = {}) {
    this.#root = root;
    this.#prefix = prefix;
    this.patterns = patterns;
    this.#references = new References(root);
    this.#rewriting = new Rewriting(this.#references);
    this.evaluation = new Evaluation(this.#references, patterns);
  }

  read(): GrammarRules {
    if (isNestedDeeper(this.#root, MAX_NESTING)) {
      throw refusal('', `more than ${MAX_NESTING} lists and objects within each other`);
    }
    return { root: this.node(this.#root, ''), rules: this.rules };
  }

  node(schema: unknown, place: string): GrammarNode {
    if (++this.#numSchemas > MAX_SCHEMAS) throw refusal(place, `more than ${MAX_SCHEMAS} schemas`);
    if (++this.#depth > MAX_DEPTH) throw refusal(place, `more than ${MAX_DEPTH} schemas deep`);
    const node = this.#readSchema(schema, this.#rewriting.placeOf(schema, place));
    this.#depth--;
    return node;
  }

  texts(schema: unknown, place: string): GrammarNode {
    const at = this.#rewriting.placeOf(schema, place);
    return this.#inlined(this.node({ allOf: [{ type: 'string' }, schema] }, at), at);
  }

  resolved(schema: unknown, place: string): SchemaObject | boolean {
    return this.#references.resolved(schema, place);
  }

  shared(name: string, make: () => GrammarNode): GrammarNode {
    const known = `${this.#prefix}${name}`;
    if (!this.rules.has(known)) this.rules.set(known, make());
    return rule(known);
  }

  newName(what: string): string {
    return `${this.#prefix}${what} ${this.#numNames++}`;
  }

  define(name: string, node: GrammarNode): GrammarNode {
    this.rules.set(name, node);
    return rule(name);
  }

  /** Puts rules in the places where they are referred to. */
  #inlined(node: GrammarNode, place: string, depth = 0): GrammarNode {
    if (depth > MAX_DEPTH) throw refusal(place, 'must be a schema of texts');
    switch (node.kind) {
      case 'rule':
        return this.#inlined(this.rules.get(node.name) ?? NOTHING, place, depth + 1);
      case 'sequence':
      case 'choice':
        return { ...node, nodes: node.nodes.map((one) => this.#inlined(one, place, depth + 1)) };
      case 'repeat':
        return { ...node, node: this.#inlined(node.node, place, depth + 1) };
      default:
        return node;
    }
  }

  #readSchema(schema: unknown, place: string): GrammarNode {
    if (schema === true) return anyValue;
    if (schema === false) return NOTHING;
    if (!isRecord(schema)) throw refusal(place, 'must be a schema: an object, true or false');
    this.#checkKeywords(schema, place);
    if (schema['$ref'] !== undefined) return this.#readRef(schema, place);
    const plain = this.#rewriting.of(schema, place);
    if (Array.isArray(plain['allOf'])) return this.#readAll(plain, place);
    if (plain['anyOf'] !== undefined) return this.#readAlternatives(plain, place);
    return this.#readTypes(plain, place);
  }

  #checkKeywords(schema: SchemaObject, place: string): void {
    for (const [keyword, value] of Object.entries(schema)) {
      const isKnown = Object.hasOwn(KEYWORD_TYPES, keyword) || COMBINING.includes(keyword);
      if (isKnown || isAnnotation(keyword)) continue;
      throw refusal(`${place}.${keyword}`, `the keyword is not supported, with ${brief(value)}`);
    }
    const id = schema['$id'] ?? schema['id'];
    if (place !== '' && typeof id === 'string' && this.#root !== schema) {
      throw refusal(`${place}.$id`, 'a name within a schema is not supported');
    }
    for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
      const list = schema[keyword];
      if (list === undefined || (Array.isArray(list) && list.length > 0)) continue;
      throw refusal(`${place}.${keyword}`, 'must be a list of schemas');
    }
  }

  #readRef(schema: SchemaObject, place: string): GrammarNode {
    const { $ref: pointer, ...others } = schema;
    const at = `${place}.$ref`;
    if (typeof pointer !== 'string') throw refusal(at, 'must be a text');
    const target = this.#references.find(pointer, at);
    const limits = Object.keys(others).filter((keyword) => !isAnnotation(keyword));
    if (limits.length > 0) {
      const allOf = [...listOf(others['allOf']), { $ref: pointer }];
      return this.node({ ...others, allOf }, place);
    }
    const name = `${this.#prefix}${pointer}`;
    if (!this.rules.has(name)) {
      this.rules.set(name, NOTHING);
      this.rules.set(name, this.node(target, `.${pointer}`));
    }
    return rule(name);
  }

  /** Makes one schema of those that must all hold. */
  #readAll(schema: SchemaObject, place: string): GrammarNode {
    const { allOf, ...rest } = schema;
    let merged: SchemaObject = rest;
    for (const [i, one] of listOf(allOf).entries()) {
      const at = this.#rewriting.placeOf(one, `${place}.allOf[${i}]`);
      const resolved = this.resolved(one, at);
      if (resolved === false) return NOTHING;
      if (resolved === true) continue;
      this.#checkKeywords(resolved, at);
      merged = merge(merged, this.#rewriting.of(resolved, at), at);
    }
    return this.node(merged, place);
  }

  #readAlternatives(schema: SchemaObject, place: string): GrammarNode {
    const { anyOf, ...rest } = schema;
    const limits = Object.keys(rest).filter((one) => !isAnnotation(one));
    return choice(
      ...listOf(anyOf).map((one, i) => {
        const at = this.#rewriting.placeOf(one, `${place}.anyOf[${i}]`);
        if (limits.length === 0) return this.node(one, at);
        const resolved = this.resolved(one, at);
        if (typeof resolved === 'boolean') return resolved ? this.node(rest, place) : NOTHING;
        this.#checkKeywords(resolved, at);
        return this.node(merge(rest, this.#rewriting.of(resolved, at), at), at);
      }),
    );
  }

  #readTypes(schema: SchemaObject, place: string): GrammarNode {
    const values = valuesOf(schema);
    if (values !== undefined) return this.#readValues(schema, values, place);
    const types = this.#typesOf(schema, place);
    if (types === undefined) return anyValue;
    return choice(...types.map((type) => this.#readType(type, schema, place)));
  }

  /** Returns the types of which values are made; undefined for any value. */
  #typesOf(schema: SchemaObject, place: string): readonly JsonType[] | undefined {
    const types = typesOf(schema, place);
    const { values, patterns } = exclusionsOf(schema['not']);
    if (patterns.length > 0) return types?.filter((one) => one === 'string') ?? ['string'];
    if (types !== undefined) return types;
    // Without a type a keyword limits the values of its own type alone: those are made.
    const meant = Object.keys(schema).flatMap((keyword) => KEYWORD_TYPES[keyword] ?? []);
    if (meant.length > 0) return [...new Set(meant)];
    if (values.length === 0) return undefined;
    // Objects and lists of which one is excluded are left out.
    return TYPES.filter(
      (one) => one !== 'integer' && !values.some((value) => isPart(value) && isOfType(value, one)),
    );
  }

  #readValues(schema: SchemaObject, values: readonly unknown[], place: string): GrammarNode {
    const { enum: _, const: __, ...others } = schema;
    const left = values.filter((one) => this.evaluation.holds(one, others, place));
    return choice(...left.map(literal));
  }

  #readType(type: JsonType, schema: SchemaObject, place: string): GrammarNode {
    switch (type) {
      case 'object':
        return objectNode(schema, place, this);
      case 'array':
        return arrayNode(schema, place, this);
      case 'string':
        return stringNode(schema, place, this);
      case 'number':
      case 'integer':
        return numberNode(type, schema, place);
      case 'boolean':
        return constants([true, false], schema);
      case 'null':
        return constants([null], schema);
    }
  }
}

function constants(values: readonly unknown[], schema: SchemaObject): GrammarNode {
  const excluded = new Set(exclusionsOf(schema['not']).values);
  const left = values.filter((one) => !excluded.has(one));
  return choice(...left.map((one) => text(JSON.stringify(one))));
}

function isPart(value: unknown): boolean {
  return typeof value === 'object' && value !== null && canonicalJson(value).length > 2;
}

function merge(a: SchemaObject, b: SchemaObject, place: string): SchemaObject {
  try {
    return mergedSchemas(a, b);
  } catch (error: unknown) {
    if (!(error instanceof CannotMerge)) throw error;
    throw refusal(`${place}.${error.keyword}`, `cannot be combined: ${error.message}`);
  }
}

function brief(value: unknown): string {
  const shown = JSON.stringify(value) ?? '';
  return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
}

/** Tells whether lists and objects stand more than so deep within each other. */
function isNestedDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((one) => isNestedDeeper(one, depth - 1));
}
