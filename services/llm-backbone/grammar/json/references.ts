import { isRecord } from '#mesh/json-value.ts';
import { isAnnotation, type SchemaObject } from './keywords.ts';
import { listOf, refusal } from './values.ts';

/** Most references that lead to each other. */
const MAX_STEPS = 64;

/** Finds the schemas that references within one schema mean. */
export class References {
  readonly #root: unknown;

  constructor(root: unknown) {
    this.#root = root;
  }

  /** Returns what a reference points to; `at` is its place. */
  find(pointer: string, at: string): unknown {
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

  /** Follows references until there is a schema with keywords of its own. */
  resolved(schema: unknown, place: string): SchemaObject | boolean {
    let found = schema;
    for (let i = 0; i < MAX_STEPS; i++) {
      if (typeof found === 'boolean') return found;
      if (!isRecord(found)) throw refusal(place, 'must be a schema: an object, true or false');
      const { $ref: pointer, ...others } = found;
      if (typeof pointer !== 'string') return found;
      const target = this.find(pointer, `${place}.$ref`);
      const limits = Object.keys(others).filter((keyword) => !isAnnotation(keyword));
      if (limits.length > 0) return { ...others, allOf: [...listOf(others['allOf']), target] };
      found = target;
    }
    throw refusal(`${place}.$ref`, 'refers to itself without end');
  }
}

function unescapedStep(step: string, at: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    throw refusal(at, 'is not a reference');
  }
}
