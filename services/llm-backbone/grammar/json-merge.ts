import { isRecord } from '#mesh/json-value.ts';
import { isAnnotation, type SchemaObject } from './json-keywords.ts';

/** Thrown where two schemas that must hold together cannot be made one. */
export class CannotMerge extends Error {
  readonly keyword: string;

  constructor(keyword: string) {
    super(`two values of ${keyword} that must both hold`);
    this.name = 'CannotMerge';
    this.keyword = keyword;
  }
}

type MergeValues = (a: unknown, b: unknown, keyword: string) => unknown;

const larger: MergeValues = (a, b) => Math.max(Number(a), Number(b));
const smaller: MergeValues = (a, b) => Math.min(Number(a), Number(b));
const both: MergeValues = (a, b) => ({ allOf: [a, b] });
const listed = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

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
  items: both,
  allOf: (a, b) => [...listed(a), ...listed(b)],
};

/** Makes one schema of two that must both hold; throws CannotMerge. */
export function mergedSchemas(a: SchemaObject, b: SchemaObject): SchemaObject {
  const merged: Record<string, unknown> = { ...a };
  for (const [keyword, value] of Object.entries(b)) {
    if (!Object.hasOwn(merged, keyword) || isAnnotation(keyword)) {
      setOwn(merged, keyword, value);
      continue;
    }
    const other = merged[keyword];
    if (keyword === 'properties' || isSame(other, value)) continue;
    const merge = MERGES[keyword];
    if (merge === undefined) throw new CannotMerge(keyword);
    merged[keyword] = merge(other, value, keyword);
  }
  return { ...merged, ...mergedProperties(a, b) };
}

/** Merges what two schemas say of the members of an object: further members are those of neither. */
function mergedProperties(a: SchemaObject, b: SchemaObject): SchemaObject {
  if (!isRecord(a['properties']) && !isRecord(b['properties'])) return {};
  const [left, right] = [asRecord(a['properties']), asRecord(b['properties'])];
  const properties: Record<string, unknown> = {};
  for (const name of [...Object.keys(left), ...Object.keys(right)]) {
    const [one, other] = [schemaOf(name, left, a), schemaOf(name, right, b)];
    const isAlone = other === undefined || isSame(one, other);
    setOwn(
      properties,
      name,
      one === undefined || isAlone ? (one ?? other) : { allOf: [one, other] },
    );
  }
  return { properties };
}

function schemaOf(
  name: string,
  properties: Readonly<Record<string, unknown>>,
  schema: SchemaObject,
): unknown {
  return Object.hasOwn(properties, name) ? properties[name] : schema['additionalProperties'];
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
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

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function common(a: readonly unknown[], b: readonly unknown[]): unknown[] {
  return a.filter((one) => b.some((other) => isSame(one, other)));
}

function commonTypes(a: readonly unknown[], b: readonly unknown[]): unknown[] {
  const types = common(a, b);
  const isInteger = (list: readonly unknown[]) => list.includes('integer');
  const isNumber = (list: readonly unknown[]) => list.includes('number');
  if ((isInteger(a) && isNumber(b)) || (isNumber(a) && isInteger(b))) types.push('integer');
  return [...new Set(types)];
}
