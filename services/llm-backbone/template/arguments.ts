import { Text } from './text.ts';
import { type Arguments, isTrue, textOfParts, typeName, Undefined, type Value } from './value.ts';

/** The arguments of a call, found by position or name. */
export class Bound {
  readonly #callee: string;
  readonly #values: ReadonlyMap<string, Value>;

  constructor(callee: string, args: Arguments, parameters: readonly string[]) {
    const values = new Map<string, Value>();
    const { positional, named } = args;
    if (positional.length > parameters.length) {
      throw new TypeError(
        `${callee}() takes at most ${parameters.length} arguments, got ${positional.length}`,
      );
    }
    for (const [i, value] of positional.entries()) values.set(parameters[i] ?? '', value);
    for (const [name, value] of named) {
      if (!parameters.includes(name) || values.has(name)) {
        throw new TypeError(`${callee}() got an argument "${name}" that it does not take here`);
      }
      values.set(name, value);
    }
    this.#callee = callee;
    this.#values = values;
  }

  /** Returns an argument; null if it is none or not given. */
  value(name: string): Value {
    return this.#values.get(name) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  required(name: string): Value {
    const value = this.#values.get(name);
    if (value !== undefined) return value;
    throw new TypeError(`${this.#callee}() needs the argument "${name}"`);
  }

  flag(name: string, fallback = false): boolean {
    const value = this.#values.get(name);
    return value === undefined ? fallback : isTrue(value);
  }

  text(name: string): Text | undefined;
  text(name: string, fallback: Text): Text;
  text(name: string, fallback?: Text): Text | undefined {
    const value = this.value(name);
    if (value === null) return fallback;
    return textOfParts(value) ?? this.#refuse(name, 'a text', value);
  }

  requiredText(name: string): Text {
    const value = this.required(name);
    return textOfParts(value) ?? this.#refuse(name, 'a text', value);
  }

  integer(name: string, fallback: number): number {
    const value = this.value(name);
    if (value === null || value instanceof Undefined) return fallback;
    if (typeof value === 'boolean') return Number(value);
    return typeof value === 'bigint' ? Number(value) : this.#refuse(name, 'an integer', value);
  }

  #refuse(name: string, wanted: string, value: Value): never {
    throw new TypeError(`${this.#callee}(): "${name}" must be ${wanted}, got ${typeName(value)}`);
  }
}

/** Splits the name of an attribute, such as "function.name", into its steps. */
export function attributeSteps(attribute: Value): Value[] {
  if (typeof attribute === 'bigint') return [attribute];
  if (!(attribute instanceof Text)) {
    throw new TypeError(`an attribute is a text or an integer, got ${typeName(attribute)}`);
  }
  return attribute.value
    .split('.')
    .map((step) => (/^\d+$/.test(step) ? BigInt(step) : Text.of(step)));
}
