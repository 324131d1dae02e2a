import { MeshError } from '#mesh/errors.ts';
import type { Body } from './body.ts';

/** A submitted form: texts by field, in order, and files. */
export interface SubmittedForm {
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly files: readonly {
    /** Name of the field. */
    readonly field: string;
    /** Media type that the client declared. */
    readonly declaredType: string;
    readonly bytes: Buffer;
  }[];
}

/** Fields that are not texts, by their type. */
export interface FieldKinds {
  readonly numbers: readonly string[];
  readonly flags: readonly string[];
  /** Names of lists; clients may also write them with `[]` at the end. */
  readonly lists: readonly string[];
}

const FLAGS: Readonly<Record<string, boolean>> = { true: true, false: false };
const NUMBER = /^-?\d+(?:\.\d+)?$/;

/**
 * Reads a form's texts as the fields of a JSON body. An empty text counts as unset. A malformed
 * number or flag stays a text, which the check of the fields refuses.
 */
export function formFields({ texts }: SubmittedForm, kinds: FieldKinds): Body {
  const body: Record<string, unknown> = {};
  for (const [key, all] of texts) {
    const name = key.endsWith('[]') ? key.slice(0, -2) : key;
    const values = all.filter((value) => value !== '');
    const [value] = values;
    if (value === undefined) continue;
    if (kinds.lists.includes(name)) body[name] = values;
    else if (values.length > 1) throw givenTwice(name);
    else body[name] = fieldValue(name, value, kinds);
  }
  return body;
}

function fieldValue(name: string, text: string, { numbers, flags }: FieldKinds): unknown {
  if (numbers.includes(name)) return NUMBER.test(text) ? Number(text) : text;
  if (flags.includes(name)) return FLAGS[text.toLowerCase()] ?? text;
  return text;
}

function givenTwice(name: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${name} is given more than once`, { param: name });
}
