import { isRecord } from '#mesh/json-value.ts';
import { isAnnotation, type SchemaObject } from './keywords.ts';
import { canonicalJson, recordOf } from './values.ts';

/** Most alternatives of two schemas that have some each. */
const MAX_ALTERNATIVES = 256;

/** Thrown where two schemas that must hold together cannot be made one. */
export class CannotMerge extends Error {
  readonly keyword: string;

  constructor(keyword: string, message = `two values of ${keyword} that must both hold`) {
    super(message);
    this.name = 'CannotMerge';
    this.keyword = keyword;
  }
}

/** Patterns that a text must all have; stands in the place of one. */
export class AllPatterns {
  readonly patterns: readonly unknown[];

  constructor(patterns: readonly unknown[]) {
    this.patterns = patterns;
  }
}

export function patternsOf(pattern: unknown): readonly unknown[] {
  if (pattern instanceof AllPatterns) return pattern.patterns;
  return pattern === undefined ? [] : [pattern];
}

type MergeValues = (a: unknown, b: unknown, keyword: string) => unknown;

const larger: MergeValues = (a, b) => Math.max(Number(a), Number(b));
const smaller: MergeValues = (a, b) => Math.min(Number(a), Number(b));
const both: MergeValues = (a, b) => ({ allOf: [a, b] });
const listed = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

const MERGES: Readonly<Record<string, MergeValues>> = {
  type: (a, b) => commonTypes(listed(a), listed(b)),
  enum: (a, b) => common(listed(a), listed(b)),
  required: (a, b) => [...new Set([...listed(a), ...listed(b)])],
  minimum: larger,
  exclusiveMinimum: larger,
  minLength: larger,
  minItems: larger,
  minProperties: larger,
  maximum: smaller,
  exclusiveMaximum: smaller,
  maxLength: smaller,
  maxItems: smaller,
  maxProperties: smaller,
  multipleOf: (a, b, keyword) => commonMultiple(Number(a), Number(b), keyword),
  pattern: (a, b) => new AllPatterns([...patternsOf(a), ...patternsOf(b)]),
  uniqueItems: (a, b) => a === true || b === true,
  items: both,
  propertyNames: both,
  additionalProperties: both,
  not: (a, b) => ({ anyOf: [a, b] }),
  allOf: (a, b) => [...listed(a), ...listed(b)],
  anyOf: (a, b, keyword) => pairs(listed(a), listed(b), keyword),
};

/** Makes one schema of two that must both hold; throws CannotMerge. */
export function mergedSchemas(a: SchemaObject, b: SchemaObject): SchemaObject {
  if (isDifferent(a, b, 'const')) return { enum: [] };
  const merged: Record<string, unknown> = { ...a };
  for (const [keyword, value] of Object.entries(b)) {
    if (!Object.hasOwn(merged, keyword) || isAnnotation(keyword)) {
      setOwn(merged, keyword, value);
      continue;
    }
    const other = merged[keyword];
    const isOfMembers = keyword === 'properties' || keyword === 'patternProperties';
    if (isOfMembers || canonicalJson(other) === canonicalJson(value)) continue;
    const merge = MERGES[keyword];
    if (merge === undefined) throw new CannotMerge(keyword);
    merged[keyword] = merge(other, value, keyword);
  }
  return { ...merged, ...mergedProperties(a, b), ...mergedPatterns(a, b) };
}

function isDifferent(a: SchemaObject, b: SchemaObject, keyword: string): boolean {
  const isInBoth = Object.hasOwn(a, keyword) && Object.hasOwn(b, keyword);
  return isInBoth && canonicalJson(a[keyword]) !== canonicalJson(b[keyword]);
}

/** Merges what two schemas say of the members of an object: further members are those of neither. */
function mergedProperties(a: SchemaObject, b: SchemaObject): SchemaObject {
  if (!isRecord(a['properties']) && !isRecord(b['properties'])) return {};
  const [left, right] = [recordOf(a['properties']), recordOf(b['properties'])];
  const properties: Record<string, unknown> = {};
  for (const name of [...Object.keys(left), ...Object.keys(right)]) {
    const [one, other] = [schemaOf(name, left, a), schemaOf(name, right, b)];
    const isAlone = other === undefined || canonicalJson(one) === canonicalJson(other);
    setOwn(
      properties,
      name,
      one === undefined || isAlone ? (one ?? other) : { allOf: [one, other] },
    );
  }
  return { properties };
}

/** Merges what two schemas say of the members whose names have patterns. */
function mergedPatterns(a: SchemaObject, b: SchemaObject): SchemaObject {
  const [left, right] = [recordOf(a['patternProperties']), recordOf(b['patternProperties'])];
  const patterns = new Set([...Object.keys(left), ...Object.keys(right)]);
  if (patterns.size === 0) return {};
  // What one schema says of its further members holds for those with the patterns of the other.
  const isHidden = [...patterns].some(
    (one) =>
      (isClosed(a) && !Object.hasOwn(left, one)) || (isClosed(b) && !Object.hasOwn(right, one)),
  );
  if (isHidden) {
    throw new CannotMerge('patternProperties', 'another schema has additionalProperties');
  }
  const merged: Record<string, unknown> = {};
  for (const pattern of patterns) {
    const schemas = [left, right].flatMap((one) =>
      Object.hasOwn(one, pattern) ? [one[pattern]] : [],
    );
    setOwn(merged, pattern, schemas.length === 1 ? schemas[0] : { allOf: schemas });
  }
  return { patternProperties: merged };
}

function isClosed(schema: SchemaObject): boolean {
  const { additionalProperties: others } = schema;
  return others !== undefined && others !== true;
}

function schemaOf(
  name: string,
  properties: Readonly<Record<string, unknown>>,
  schema: SchemaObject,
): unknown {
  return Object.hasOwn(properties, name) ? properties[name] : schema['additionalProperties'];
}

/** Sets a member whatever its name is: `__proto__` is a name like any other. */
export function setOwn(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function common(a: readonly unknown[], b: readonly unknown[]): unknown[] {
  const texts = new Set(b.map(canonicalJson));
  return a.filter((one) => texts.has(canonicalJson(one)));
}

function commonTypes(a: readonly unknown[], b: readonly unknown[]): unknown[] {
  const types = common(a, b);
  const isInteger = (list: readonly unknown[]) => list.includes('integer');
  const isNumber = (list: readonly unknown[]) => list.includes('number');
  if ((isInteger(a) && isNumber(b)) || (isNumber(a) && isInteger(b))) types.push('integer');
  return [...new Set(types)];
}

function commonMultiple(a: number, b: number, keyword: string): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  if (!Number.isInteger(a) || !Number.isInteger(b)) throw new CannotMerge(keyword);
  return (a / divisor(a, b)) * b;
}

function pairs(a: readonly unknown[], b: readonly unknown[], keyword: string): unknown[] {
  if (a.length * b.length > MAX_ALTERNATIVES) {
    throw new CannotMerge(keyword, `more than ${MAX_ALTERNATIVES} ways to have both`);
  }
  return a.flatMap((one) => b.map((other) => ({ allOf: [one, other] })));
}
