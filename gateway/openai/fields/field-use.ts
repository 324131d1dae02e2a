import { isRecord } from '#mesh/json-value.ts';

/**
 * What this server does with a field of a request: it honours the field, it accepts the field
 * because the answer is the same without it, or it refuses the field because the answer would not
 * be the one asked for.
 */
export type FieldUse =
  | { readonly kind: 'honoured'; readonly fields?: FieldTable }
  | {
      readonly kind: 'harmless';
      /** Why an answer is the same without the field. */
      readonly why: string;
    }
  | {
      readonly kind: 'refused';
      /** Completes "FIELD: …" in the refusal. */
      readonly why: string;
      /** Values that ask for nothing; none if `why` names what is accepted. */
      readonly idle: readonly unknown[];
      /** Tells whether a value asks for nothing, so that it is accepted. */
      readonly isIdle: (value: unknown, body: Fields) => boolean;
    };

/** Fields by name; those of an object also apply to each object of a list. */
export type FieldTable = ReadonlyMap<string, FieldUse>;

export type Fields = Readonly<Record<string, unknown>>;

export const HONOURED: FieldUse = { kind: 'honoured' };

/** In a list of idle values: an empty list, object or text. */
export const EMPTY = Symbol('empty');

/** Makes a row for a field without which an answer is the same; `why` says so. */
export function harmless(why: string): FieldUse {
  return { kind: 'harmless', why };
}

/** Makes a row for a field that is refused unless its value is one of `idle`. */
export function refused(why: string, ...idle: readonly unknown[]): FieldUse {
  const isIdle = (value: unknown) =>
    idle.includes(value) || (idle.includes(EMPTY) && isEmpty(value));
  return { kind: 'refused', why, idle, isIdle };
}

/** Makes a row for a field whose value is judged together with the rest of the body. */
export function refusedUnless(
  isIdle: (value: unknown, body: Fields) => boolean,
  why: string,
): FieldUse {
  return { kind: 'refused', why, idle: [], isIdle };
}

/** Makes a row for another server's name of a field. */
export function alias(field: string, ...idle: readonly unknown[]): FieldUse {
  return refused(`not a field of this server; use ${field}`, ...idle);
}

/** Makes a row for an object with known fields, or for a list of such objects. */
export function honouredObject(fields: Readonly<Record<string, FieldUse>>): FieldUse {
  return { kind: 'honoured', fields: fieldTable(fields) };
}

export function fieldTable(fields: Readonly<Record<string, FieldUse>>): FieldTable {
  return new Map(Object.entries(fields));
}

/** Makes rows of one use for several fields. */
export function each<Name extends string>(
  use: FieldUse,
  ...names: readonly Name[]
): Record<string, FieldUse> {
  return Object.fromEntries(names.map((name) => [name, use]));
}

function isEmpty(value: unknown): boolean {
  if (value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.keys(value).length === 0;
}
