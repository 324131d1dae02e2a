import { isRecord } from '#mesh/json-value.ts';
import type { ToolFunction } from '#mesh/prompt/tool-function.ts';

type Schema = NonNullable<ToolFunction['parameters']>;

/** Types of JSON values by JSON Schema's names. */
type JsonType = 'string' | 'number' | 'integer' | 'boolean' | 'null' | 'array' | 'object';

/** Most references and alternatives that are followed to find the types of one argument. */
const MAX_STEPS = 64;

/** Words of Python for values that JSON has too. */
const PYTHON_WORDS: ReadonlyMap<string, string> = new Map([
  ['True', 'true'],
  ['False', 'false'],
  ['None', 'null'],
]);

/** What a tool's schema says of the type of one argument, whose value comes without quotes. */
export class ArgumentType {
  /** Types that the argument may have; null if any will do. */
  readonly #types: ReadonlySet<string> | null;

  constructor(parameters: Schema | null, name: string) {
    const properties = parameters?.['properties'];
    const known = isRecord(properties) && Object.hasOwn(properties, name);
    this.#types = known ? new TypeFinder(parameters ?? {}).typesOf(properties[name]) : null;
  }

  /** Tells that every value is a text, whatever it looks like. */
  get isText(): boolean {
    return this.#types?.size === 1 && this.#types.has('string');
  }

  /** Returns a written value as JSON; it is a text if it is nothing else. */
  json(written: string): string {
    if (this.isText) return JSON.stringify(written);
    const trimmed = written.trim();
    const word = PYTHON_WORDS.get(trimmed);
    for (const candidate of [trimmed, unescaped(trimmed), word]) {
      const type = candidate === undefined ? undefined : typeOf(candidate);
      if (candidate !== undefined && type !== undefined && this.#allows(type)) return candidate;
    }
    return JSON.stringify(written);
  }

  /**
   * Tells whether JSON of a type stands for itself. Where a text is allowed, quotes are a part of it,
   * and so is all JSON of types that are not allowed.
   */
  #allows(type: JsonType): boolean {
    if (this.#types?.has('string') !== true) return true;
    if (type === 'string') return false;
    return this.#types.has(type) || (type === 'integer' && this.#types.has('number'));
  }
}

/** Returns a JSON text that was escaped as if it stood in another one. */
function unescaped(text: string): string | undefined {
  const value = parsed(`"${text}"`);
  return typeof value === 'string' ? value : undefined;
}

function typeOf(json: string): JsonType | undefined {
  const value = parsed(json);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return typeof value === 'string' ? 'string' : 'boolean';
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'number';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? 'array' : 'object';
    default:
      return undefined;
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Finds the types that a schema allows, through references and alternatives. */
class TypeFinder {
  readonly #root: Schema;
  #numSteps = 0;

  constructor(root: Schema) {
    this.#root = root;
  }

  /** Returns null if the schema does not say it. */
  typesOf(schema: unknown): ReadonlySet<string> | null {
    if (++this.#numSteps > MAX_STEPS || !isRecord(schema)) return null;
    const { type, enum: values, anyOf, oneOf, $ref: reference, nullable } = schema;
    if ('const' in schema) return new Set([typeOf(JSON.stringify(schema['const'])) ?? '']);
    if (Array.isArray(values)) {
      return new Set(values.map((value: unknown) => typeOf(JSON.stringify(value)) ?? ''));
    }
    if (typeof type === 'string') return new Set(nullable === true ? [type, 'null'] : [type]);
    if (Array.isArray(type)) return new Set(type.filter((one) => typeof one === 'string'));
    if (typeof reference === 'string') return this.typesOf(this.#target(reference));
    const alternatives = Array.isArray(anyOf) ? anyOf : oneOf;
    return Array.isArray(alternatives) ? this.#union(alternatives) : null;
  }

  #union(schemas: readonly unknown[]): ReadonlySet<string> | null {
    const union = new Set<string>();
    for (const schema of schemas) {
      const types = this.typesOf(schema);
      if (types === null) return null;
      for (const type of types) union.add(type);
    }
    return union;
  }

  /** Follows a reference inside the schema, such as "#/$defs/point". */
  #target(reference: string): unknown {
    const [start, ...steps] = reference.split('/');
    if (start !== '#') return undefined;
    return steps.reduce<unknown>((value, step) => {
      const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
      return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    }, this.#root);
  }
}
