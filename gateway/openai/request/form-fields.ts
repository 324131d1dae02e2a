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

/** Words for true and false that pydantic takes, in any case. */
const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 't', 'yes', 'y', 'on', '1'].map((word) => [word, true] as const),
  ...['false', 'f', 'no', 'n', 'off', '0'].map((word) => [word, false] as const),
]);

/** A finite number as JSON or Python writes it: "-1", "+.5", "5.", "1e-05", "1_000". */
const NUMBER = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+)?$/i;
const INTEGER = /^[+-]?\d{1,20}$/;

/** Most characters of a number; bounds the work for one. */
const MAX_NUMBER_CHARS = 64;

/**
 * Reads a form's texts as the fields of a JSON body. An empty text counts as unset. A malformed
 * number or flag stays a text, which the check of the fields refuses. A file stands for itself as
 * its field's name, so that the check sees which fields it has.
 */
export function formFields({ texts, files }: SubmittedForm, kinds: FieldKinds): Body {
  const fields = new Map<string, unknown>(files.map(({ field }) => [plainName(field), field]));
  for (const [key, all] of texts) {
    const name = plainName(key);
    const values = all.filter((value) => value !== '');
    const [value] = values;
    if (value === undefined) continue;
    if (kinds.lists.includes(name)) fields.set(name, values);
    else if (values.length > 1) throw givenTwice(name);
    else fields.set(name, fieldValue(name, value, kinds));
  }
  return Object.fromEntries(fields);
}

function plainName(key: string): string {
  return key.endsWith('[]') ? key.slice(0, -2) : key;
}

function fieldValue(name: string, text: string, { numbers, flags }: FieldKinds): unknown {
  if (numbers.includes(name)) return numberOf(text.trim()) ?? text;
  if (flags.includes(name)) return FLAGS.get(text.trim().toLowerCase()) ?? text;
  return text;
}

/** Returns a number, as a bigint where a number would lose digits of an integer. */
function numberOf(text: string): number | bigint | undefined {
  if (text.length > MAX_NUMBER_CHARS || !NUMBER.test(text)) return undefined;
  const number = Number(text.replaceAll('_', ''));
  const isExact = !INTEGER.test(text) || Number.isSafeInteger(number);
  return isExact ? number : BigInt(text.replace('+', ''));
}

function givenTwice(name: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${name} is given more than once`, { param: name });
}
