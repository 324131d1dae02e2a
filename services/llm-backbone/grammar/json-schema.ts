import { isRecord } from '#mesh/json-value.ts';
import {
  choice,
  type GrammarNode,
  type GrammarRules,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from './grammar-node.ts';
import { formRefusal } from './grammar-refusal.ts';
import { FORMATS } from './json-format.ts';
import {
  COMBINING,
  isAnnotation,
  type JsonType,
  KEYWORD_TYPES,
  type SchemaObject,
  TYPES,
} from './json-keywords.ts';
import { CannotMerge, mergedSchemas, setOwn } from './json-merge.ts';
import { integerWithin, numberWithin } from './json-number.ts';
import {
  anyString,
  anyValue,
  following,
  JSON_RULES,
  listFrom,
  literal,
  member,
  objectText,
  otherKey,
  preceding,
  stringOfLength,
  stringOfPattern,
} from './json-text.ts';
import { lengthsOf, RegexFault, regexNode } from './regex.ts';

/** Most schemas within each other, references followed. */
const MAX_DEPTH = 64;
/** Most schemas that are read, those of references as often as they are read anew. */
const MAX_SCHEMAS = 20_000;

/** Most characters that a text is given room for, where a schema bounds them higher. */
const MAX_LENGTH = 512;

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
    throw formRefusal('json_schema', '', 'is not JSON');
  }
  return new SchemaReader(schema).read();
}

/** Reads the schema of a part of another form. */
export class SchemaReader {
  readonly rules = new Map<string, GrammarNode>(JSON_RULES);
  readonly #root: unknown;
  readonly #prefix: string;
  readonly #places = new Map<string, string>();
  #numSchemas = 0;
  #depth = 0;
  #numItems = 0;

  /** `prefix` keeps the rules of several schemas apart. */
  constructor(root: unknown, prefix = '#') {
    this.#root = root;
    this.#prefix = prefix;
  }

  read(): GrammarRules {
    return { root: this.node(this.#root, ''), rules: this.rules };
  }

  /** Reads one schema; `place` is its path, such as ".properties.a". */
  node(schema: unknown, place: string): GrammarNode {
    if (++this.#numSchemas > MAX_SCHEMAS) throw refusal(place, `more than ${MAX_SCHEMAS} schemas`);
    if (++this.#depth > MAX_DEPTH) throw refusal(place, `more than ${MAX_DEPTH} schemas deep`);
    const node = this.#readSchema(schema, place);
    this.#depth--;
    return node;
  }

  #readSchema(schema: unknown, place: string): GrammarNode {
    if (schema === true) return anyValue;
    if (schema === false) return NOTHING;
    if (!isRecord(schema)) throw refusal(place, 'must be a schema: an object, true or false');
    this.#checkKeywords(schema, place);
    if (schema['$ref'] !== undefined) return this.#readRef(schema, place);
    if (Array.isArray(schema['allOf'])) return this.#readAll(schema, place);
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      if (schema[keyword] !== undefined) return this.#readAlternatives(schema, keyword, place);
    }
    return this.#readTypes(schema, place);
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
    const target = this.#find(pointer, at);
    const limits = Object.keys(others).filter((keyword) => !isAnnotation(keyword));
    if (limits.length > 0)
      return this.node(
        { ...others, allOf: [...listOf(others['allOf']), { $ref: pointer }] },
        place,
      );
    const name = `${this.#prefix}${pointer}`;
    if (!this.rules.has(name)) {
      this.rules.set(name, NOTHING);
      this.#places.set(name, at);
      this.rules.set(name, this.node(target, `.${pointer}`));
    }
    return rule(name);
  }

  #find(pointer: string, at: string): unknown {
    if (pointer === '#') return this.#root;
    if (!pointer.startsWith('#/')) {
      throw refusal(at, 'only references within the schema, "#/…", are supported');
    }
    let found: unknown = this.#root;
    for (const step of pointer.slice(2).split('/')) {
      const key = unescapedStep(step, at);
      const isThere = typeof found === 'object' && found !== null && Object.hasOwn(found, key);
      if (!isThere) throw refusal(at, 'refers to nothing');
      found = Reflect.get(found as object, key);
    }
    return found;
  }

  /** Makes one schema of those that must all hold. */
  #readAll(schema: SchemaObject, place: string): GrammarNode {
    const { allOf, ...rest } = schema;
    let merged: SchemaObject = rest;
    for (const [i, one] of listOf(allOf).entries()) {
      const at = `${place}.allOf[${i}]`;
      const resolved = this.#resolved(one, at);
      if (resolved === false) return NOTHING;
      if (resolved === true) continue;
      this.#checkKeywords(resolved, at);
      merged = this.#merged(merged, resolved, at);
    }
    return this.node(merged, place);
  }

  #merged(a: SchemaObject, b: SchemaObject, place: string): SchemaObject {
    for (const one of [a, b]) {
      const isOpen =
        one['additionalProperties'] === undefined || one['additionalProperties'] === true;
      if (
        !isOpen &&
        (a['properties'] ?? b['properties']) !== undefined &&
        one['properties'] === undefined
      ) {
        throw refusal(`${place}.additionalProperties`, 'cannot be combined with other schemas');
      }
    }
    try {
      return mergedSchemas(a, b);
    } catch (error: unknown) {
      if (!(error instanceof CannotMerge)) throw error;
      throw refusal(`${place}.${error.keyword}`, `cannot be combined: ${error.message}`);
    }
  }

  /** Follows references until there is a schema with keywords of its own. */
  #resolved(schema: unknown, place: string): SchemaObject | boolean {
    let found = schema;
    for (let i = 0; i < MAX_DEPTH; i++) {
      if (typeof found === 'boolean') return found;
      if (!isRecord(found)) throw refusal(place, 'must be a schema: an object, true or false');
      const { $ref: pointer, ...others } = found;
      if (typeof pointer !== 'string') return found;
      const target = this.#find(pointer, `${place}.$ref`);
      const limits = Object.keys(others).filter((keyword) => !isAnnotation(keyword));
      if (limits.length > 0) return { ...others, allOf: [...listOf(others['allOf']), target] };
      found = target;
    }
    throw refusal(`${place}.$ref`, 'refers to itself without end');
  }

  #readAlternatives(schema: SchemaObject, keyword: 'anyOf' | 'oneOf', place: string): GrammarNode {
    const { [keyword]: list, ...rest } = schema;
    const alternatives = listOf(list);
    if (keyword === 'oneOf') this.#checkExclusive(alternatives, `${place}.oneOf`);
    const limits = Object.keys(rest).filter((one) => !isAnnotation(one));
    return choice(
      ...alternatives.map((one, i) => {
        const at = `${place}.${keyword}[${i}]`;
        if (limits.length === 0) return this.node(one, at);
        const resolved = this.#resolved(one, at);
        if (typeof resolved === 'boolean') return resolved ? this.node(rest, place) : NOTHING;
        return this.node(this.#merged(rest, resolved, at), at);
      }),
    );
  }

  /** Refuses alternatives of which a value could have two. */
  #checkExclusive(alternatives: readonly unknown[], place: string): void {
    const resolved = alternatives.map((one, i) => this.#resolved(one, `${place}[${i}]`));
    for (const [i, one] of resolved.entries()) {
      for (const [j, other] of resolved.slice(0, i).entries()) {
        if (this.#isDisjoint(one, other, 0)) continue;
        const message = `may hold together with oneOf[${j}]; use anyOf, or a property with a const`;
        throw refusal(`${place}[${i}]`, message);
      }
    }
  }

  #isDisjoint(a: unknown, b: unknown, depth: number): boolean {
    if (a === false || b === false) return true;
    if (!isRecord(a) || !isRecord(b) || depth > 8) return false;
    const [left, right] = [valuesOf(a), valuesOf(b)];
    if (left !== undefined && right !== undefined) {
      const texts = new Set(left.map((one) => JSON.stringify(one)));
      return !right.some((one) => texts.has(JSON.stringify(one)));
    }
    const [types, others] = [left?.map(typeOf) ?? typesOf(a), right?.map(typeOf) ?? typesOf(b)];
    if (
      types !== undefined &&
      others !== undefined &&
      !types.some((one) => others.some(overlaps(one)))
    ) {
      return true;
    }
    const isObject = (list: readonly JsonType[] | undefined) =>
      list?.length === 1 && list[0] === 'object';
    if (!isObject(types) || !isObject(others)) return false;
    const required = listOf(a['required']).filter((name) => listOf(b['required']).includes(name));
    return required.some((name) =>
      this.#isDisjoint(this.#property(a, name), this.#property(b, name), depth + 1),
    );
  }

  #property(schema: SchemaObject, name: unknown): unknown {
    const { properties } = schema;
    const isThere =
      isRecord(properties) && typeof name === 'string' && Object.hasOwn(properties, name);
    return isThere ? this.#resolved(properties[name], '') : true;
  }

  #readTypes(schema: SchemaObject, place: string): GrammarNode {
    const values = valuesOf(schema);
    if (values !== undefined) return this.#readValues(schema, values, place);
    const types = typesOf(schema, place);
    // Without a type a keyword limits the values of its own type alone: those are made.
    const meant = Object.keys(schema).flatMap((keyword) => KEYWORD_TYPES[keyword] ?? []);
    if (types === undefined && meant.length === 0) return anyValue;
    const made = types ?? [...new Set(meant)];
    return choice(...made.map((type) => this.#readType(type, schema, place)));
  }

  #readValues(schema: SchemaObject, values: readonly unknown[], place: string): GrammarNode {
    for (const keyword of Object.keys(schema)) {
      if (!Object.hasOwn(KEYWORD_TYPES, keyword)) continue;
      throw refusal(`${place}.${keyword}`, 'is not supported beside enum or const');
    }
    const types = typesOf(schema, place);
    const isAllowed = (value: unknown) =>
      types === undefined || types.some((type) => isOfType(value, type));
    return choice(...values.filter(isAllowed).map(literal));
  }

  #readType(type: JsonType, schema: SchemaObject, place: string): GrammarNode {
    switch (type) {
      case 'object':
        return this.#readObject(schema, place);
      case 'array':
        return this.#readArray(schema, place);
      case 'string':
        return this.#readString(schema, place);
      case 'number':
      case 'integer':
        return this.#readNumber(type, schema, place);
      case 'boolean':
        return choice(text('true'), text('false'));
      case 'null':
        return text('null');
    }
  }

  #readString(schema: SchemaObject, place: string): GrammarNode {
    const { pattern, format } = schema;
    const min = count(schema, 'minLength', place) ?? 0;
    const max = count(schema, 'maxLength', place) ?? Number.POSITIVE_INFINITY;
    if (pattern === undefined && format === undefined) {
      if (min > max) return NOTHING;
      return min === 0 && max === Number.POSITIVE_INFINITY
        ? anyString
        : this.#boundedString(min, max);
    }
    const keyword = pattern === undefined ? 'format' : 'pattern';
    const at = `${place}.${keyword}`;
    if (pattern !== undefined && format !== undefined) {
      throw refusal(`${place}.format`, 'is not supported beside pattern');
    }
    const expression = pattern ?? formatPattern(format, at);
    if (typeof expression !== 'string') throw refusal(at, 'must be a text');
    try {
      const node = this.#shared(`pattern ${expression}`, () => stringOfPattern(expression));
      const lengths = lengthsOf(regexNode(expression));
      if (lengths.min >= min && lengths.max <= max) return node;
    } catch (error: unknown) {
      if (!(error instanceof RegexFault)) throw error;
      throw refusal(at, error.message);
    }
    throw refusal(at, 'has texts of other lengths than minLength and maxLength allow');
  }

  /** Makes texts of a length; shorter ones than allowed where they would take too many states. */
  #boundedString(min: number, max: number): GrammarNode {
    const made = max === Number.POSITIVE_INFINITY ? max : Math.max(min, Math.min(max, MAX_LENGTH));
    return this.#shared(`string ${min} to ${made}`, () => stringOfLength(min, made));
  }

  /** Makes a rule of a node, so that it is written out once. */
  #shared(name: string, make: () => GrammarNode): GrammarNode {
    const known = `${this.#prefix}${name}`;
    if (!this.rules.has(known)) this.rules.set(known, make());
    return rule(known);
  }

  #readNumber(type: 'number' | 'integer', schema: SchemaObject, place: string): GrammarNode {
    const step = schema['multipleOf'];
    if (step !== undefined && step !== 1) {
      throw refusal(`${place}.multipleOf`, 'only 1 is supported');
    }
    const min = bound(schema, 'minimum', place) ?? Number.NEGATIVE_INFINITY;
    const max = bound(schema, 'maximum', place) ?? Number.POSITIVE_INFINITY;
    // Draft 4 has flags beside the bounds.
    const above = limitOf(schema, 'exclusiveMinimum', min, place) ?? Number.NEGATIVE_INFINITY;
    const below = limitOf(schema, 'exclusiveMaximum', max, place) ?? Number.POSITIVE_INFINITY;
    const bounds = {
      min: Math.max(min, above),
      max: Math.min(max, below),
      excludesMin: above >= min && above !== Number.NEGATIVE_INFINITY,
      excludesMax: below <= max && below !== Number.POSITIVE_INFINITY,
    };
    if (bounds.min > bounds.max) return NOTHING;
    return type === 'integer' || step === 1 ? integerWithin(bounds) : numberWithin(bounds);
  }

  #readArray(schema: SchemaObject, place: string): GrammarNode {
    const { items, prefixItems, additionalItems, unevaluatedItems, uniqueItems } = schema;
    const min = count(schema, 'minItems', place) ?? 0;
    const max = count(schema, 'maxItems', place) ?? Number.POSITIVE_INFINITY;
    if (uniqueItems === true && max > 1) {
      throw refusal(`${place}.uniqueItems`, 'is not supported for more than one item');
    }
    // Before draft 2020-12 a list of `items` was what `prefixItems` is.
    const [first, keyword] = Array.isArray(items)
      ? [items, 'items']
      : [prefixItems ?? [], 'prefixItems'];
    if (!Array.isArray(first)) throw refusal(`${place}.prefixItems`, 'must be a list of schemas');
    const [rest, restName] = Array.isArray(items)
      ? [additionalItems ?? unevaluatedItems, 'additionalItems']
      : [items ?? unevaluatedItems, 'items'];
    const nodes = first.map((one, i) => this.node(one, `${place}.${keyword}[${i}]`));
    // Items beside those that are named are made only where the schema speaks of them, or needs them.
    const isClosed =
      rest === false || (rest === undefined && first.length > 0 && min <= first.length);
    const restNode = isClosed
      ? null
      : this.#shared(`items ${this.#numItems++}`, () =>
          this.node(rest ?? true, `${place}.${restName}`),
        );
    if (min > max || (restNode === null && min > nodes.length)) return NOTHING;
    return listFrom(nodes, restNode, { min, max });
  }

  #readObject(schema: SchemaObject, place: string): GrammarNode {
    const properties = schema['properties'] ?? {};
    if (!isRecord(properties)) throw refusal(`${place}.properties`, 'must be an object of schemas');
    const requiredNames = schema['required'] ?? [];
    // Draft 3 has a flag in each property.
    if (!Array.isArray(requiredNames))
      throw refusal(`${place}.required`, 'must be a list of names');
    const required = new Set<unknown>(requiredNames);
    const others = schema['additionalProperties'] ?? schema['unevaluatedProperties'];
    const all: Record<string, unknown> = {};
    for (const [name, one] of Object.entries(properties)) setOwn(all, name, one);
    for (const name of required) {
      if (typeof name === 'string' && !Object.hasOwn(all, name)) setOwn(all, name, others ?? true);
    }
    const min = count(schema, 'minProperties', place) ?? 0;
    const max = count(schema, 'maxProperties', place) ?? Number.POSITIVE_INFINITY;
    if (min > required.size) {
      throw refusal(
        `${place}.minProperties`,
        `is only supported up to the number of required properties`,
      );
    }
    if (required.size > max) return NOTHING;
    const isFull = required.size === max;
    const made = Object.entries(all).filter(([name]) => required.has(name) || !isFull);
    // An object without properties of its own holds any, as in JSON Schema.
    const isAny =
      others === undefined && Object.keys(all).length === 0 && schema['properties'] === undefined;
    const rest =
      isFull || others === false || (others === undefined && !isAny) ? undefined : (others ?? true);
    if (made.length + (rest === undefined ? 0 : 1) > max) {
      throw refusal(
        `${place}.maxProperties`,
        'is only supported as the number of required properties',
      );
    }
    const members = made.map(([name, one]) => ({
      node: member(literal(name), this.node(one, `${place}.properties.${name}`)),
      isRequired: required.has(name),
    }));
    const more =
      rest === undefined
        ? null
        : member(otherKey(Object.keys(all)), this.node(rest, `${place}.additionalProperties`));
    return objectText(this.#members(members, more));
  }

  /** Makes the members of an object in their order, separated by commas. */
  #members(members: readonly Member[], more: GrammarNode | null): GrammarNode {
    const tail = more === null ? text('') : repeat(following(more), 0);
    const firstRequired = members.findIndex(({ isRequired }) => isRequired);
    if (firstRequired !== -1) {
      // Members in front of one that always comes bring their comma behind them, others before.
      const nodes = members.map(({ node, isRequired }, i) => {
        if (i < firstRequired) return optional(preceding(node));
        if (i === firstRequired) return node;
        return isRequired ? following(node) : optional(following(node));
      });
      return sequence(...nodes, tail);
    }
    // Whichever comes first has no comma; what may follow each of them is a rule of its own.
    let rest = tail;
    const starts: GrammarNode[] = more === null ? [] : [sequence(more, tail)];
    for (const { node } of [...members].reverse()) {
      const name = `${this.#prefix}members ${this.rules.size}`;
      this.rules.set(name, rest);
      starts.push(sequence(node, rule(name)));
      rest = sequence(optional(following(node)), rule(name));
    }
    return optional(choice(...starts.reverse()));
  }

  /** Returns the place of a reference whose rule has a name; "" for others. */
  placeOf(name: string): string {
    return this.#places.get(name) ?? '';
  }
}

interface Member {
  readonly node: GrammarNode;
  readonly isRequired: boolean;
}

function refusal(place: string, message: string) {
  return formRefusal('json_schema', place, message);
}

function brief(value: unknown): string {
  const shown = JSON.stringify(value) ?? '';
  return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function unescapedStep(step: string, at: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    throw refusal(at, 'is not a reference');
  }
}

function valuesOf(schema: SchemaObject): readonly unknown[] | undefined {
  const { enum: values } = schema;
  const list = Array.isArray(values) ? values : undefined;
  if (!Object.hasOwn(schema, 'const')) return list;
  const text = JSON.stringify(schema['const']);
  const isListed = list === undefined || list.some((one) => JSON.stringify(one) === text);
  return isListed ? [schema['const']] : [];
}

function typesOf(schema: SchemaObject, place = ''): readonly JsonType[] | undefined {
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

function typeOf(value: unknown): JsonType {
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

function isOfType(value: unknown, type: JsonType): boolean {
  return type === 'integer' ? Number.isInteger(value) : typeOf(value) === type;
}

function overlaps(type: JsonType): (other: JsonType) => boolean {
  const family = (one: JsonType) => (one === 'integer' ? 'number' : one);
  return (other) => family(other) === family(type);
}

function formatPattern(format: unknown, at: string): string {
  const pattern =
    typeof format === 'string' && Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (pattern !== undefined) return pattern;
  throw refusal(at, `the format is not enforced; ${Object.keys(FORMATS).join(', ')} are`);
}

function count(schema: SchemaObject, keyword: string, place: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw refusal(`${place}.${keyword}`, 'must be a whole number of at least 0');
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
