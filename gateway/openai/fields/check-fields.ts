import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { nearName } from '#mesh/nearest-name.ts';
import type { Fields, FieldTable } from './field-use.ts';

/** A field that no table names, so that it was ignored. */
export interface UnknownField {
  /** Path of the field: "messages[0].contents". */
  readonly path: string;
  /** Known field of which it is a misspelling, if there is one. */
  readonly meant: string | undefined;
}

/** More fields than an object of any API has; bounds the work of copying and checking each of them. */
const MAX_FIELDS = 1000;

/** Most unknown fields that are reported for one request. */
const MAX_REPORTED = 5;

/**
 * Refuses fields that this server cannot honour, nested ones included. Returns the fields that
 * nobody knows, at most five.
 */
export function checkFields(body: Fields, table: FieldTable): UnknownField[] {
  const unknown: UnknownField[] = [];
  checkObject(body, table, { at: '', body, unknown });
  return unknown;
}

/** Refuses an object of more fields than any API has; `at` is what a refusal calls it. */
export function checkNumFields(
  object: Fields,
  at: string,
  place: { readonly param?: string } = {},
): void {
  const numFields = Object.keys(object).length;
  if (numFields <= MAX_FIELDS) return;
  const message = `${at} must have at most ${MAX_FIELDS} fields, got ${numFields}`;
  throw new MeshError('INVALID_REQUEST', message, place);
}

interface Place {
  /** Path of the object, "" for the body. */
  readonly at: string;
  readonly body: Fields;
  readonly unknown: UnknownField[];
}

function checkObject(object: Fields, table: FieldTable, { at, body, unknown }: Place): void {
  if (at !== '') checkNumFields(object, at, { param: at });
  for (const [name, value] of Object.entries(object)) {
    if (value === null || value === undefined) continue;
    const use = table.get(name);
    if (use === undefined) {
      if (unknown.length === MAX_REPORTED) continue;
      unknown.push({ path: pathOf(at, name), meant: nearName(name, table.keys()) });
    } else if (use.kind === 'refused') {
      if (!use.isIdle(value, body)) throw refusal(pathOf(at, name), use.why);
    } else if (use.kind === 'honoured' && use.fields !== undefined) {
      checkValue(value, use.fields, { at: pathOf(at, name), body, unknown });
    }
  }
}

function pathOf(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}

/** Checks an object, or each object of a list; the schema of the field judges other values. */
function checkValue(value: unknown, table: FieldTable, place: Place): void {
  if (isRecord(value)) checkObject(value, table, place);
  if (!Array.isArray(value)) return;
  value.forEach((one: unknown, i) => {
    if (isRecord(one)) checkObject(one, table, { ...place, at: `${place.at}[${i}]` });
  });
}

function refusal(path: string, why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${path}: ${why}`, { param: path });
}
