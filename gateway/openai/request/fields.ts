import { type TSchema, Type } from 'typebox';
import { type Range, type SamplingField, UINT32_MAX } from '#mesh/sampling-fields.ts';

// Builders of optional request fields. `description` completes "must be …" in a refusal.

export function numberField({ min, max }: Range) {
  const description = `a number from ${min} to ${max}`;
  return Type.Optional(Type.Number({ minimum: min, maximum: max, description }));
}

export function integerField({ min, max }: Range) {
  const description = `an integer from ${min} to ${max}`;
  return Type.Optional(Type.Integer({ minimum: min, maximum: max, description }));
}

/** Makes the schema of a field in the table of sampling fields. */
export function samplingField(field: SamplingField) {
  const { min: minimum, max: maximum, isInteger = false, allowed } = field;
  const kind = isInteger ? 'an integer' : 'a number';
  const description = allowed ?? `${kind} from ${minimum} to ${maximum}`;
  const range = { minimum, maximum, description };
  return Type.Optional(isInteger ? Type.Integer(range) : Type.Number(range));
}

export function flagField() {
  return Type.Optional(Type.Boolean({ description: 'true or false' }));
}

/** Makes a field that takes one of a few words. */
export function literalsField<const Word extends string>(words: readonly Word[]) {
  const literals = words.map((word) => Type.Literal(word));
  return Type.Optional(Type.Union(literals, { description: `one of ${words.join(', ')}` }));
}

export function textField(description: string) {
  return Type.Optional(Type.String({ description }));
}

/**
 * Makes a field for an object with any content; a schema for its values would check each of them.
 */
export function objectField(description: string) {
  return Type.Optional(Type.Unsafe<Record<string, unknown>>(Type.Object({}, { description })));
}

/** Schema of a token id, a uint32 on the wire. */
export const tokenId = Type.Integer({ minimum: 0, maximum: UINT32_MAX });

export function listField<Item extends TSchema>(item: Item, description: string, minItems = 0) {
  return Type.Optional(Type.Array(item, { description, minItems }));
}
