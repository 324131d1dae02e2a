import assert from 'node:assert/strict';
import type { Static, TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { checkFields, type UnknownField } from '#gateway/openai/fields/check-fields.ts';
import type { FieldTable } from '#gateway/openai/fields/field-use.ts';
import { MeshError } from '#mesh/errors.ts';
import { briefly, isRecord } from '#mesh/json-value.ts';
import type { Body } from './body.ts';

/** A body whose fields have been checked. */
export interface Checked<Request> {
  readonly request: Request;
  /** Fields that were ignored because nobody knows them. */
  readonly unknownFields: readonly UnknownField[];
}

/** Checks a body by the schema of a route. */
export interface BodyCheck<Request> {
  (body: Body): Checked<Request>;
  /** The fields that the route honours. */
  readonly fields: readonly DescribedField[];
}

/** A field that a route honours. */
export interface DescribedField {
  readonly name: string;
  /** The allowed values in words. */
  readonly description: string;
  /** Fields, if the value is an object. */
  readonly fields: readonly DescribedField[];
}

/**
 * Compiles a route's schema and its table of fields into a check. Every field's `description` says
 * which values are allowed; a refusal names the innermost described field at fault, the allowed
 * values and the received one. The table must honour exactly the fields of the schema.
 */
export function compileCheck<S extends TObject>(schema: S, uses: FieldTable): BodyCheck<Static<S>> {
  const compiled = Compile(schema);
  const fields = fieldsOf(schema);
  const honoured = [...uses].filter(([, { kind }]) => kind === 'honoured').map(([name]) => name);
  assert.deepEqual(fields.map(({ name }) => name).sort(), honoured.sort());
  const check = (body: Body): Checked<Static<S>> => {
    const unknownFields = checkFields(body, uses);
    const candidate: unknown = body;
    if (compiled.Check(candidate)) return { request: candidate, unknownFields };
    throw refusal(faultIn(fields, body, '') ?? UNKNOWN_FAULT);
  };
  return Object.assign(check, { fields });
}

interface Field extends DescribedField {
  readonly accepts: (value: unknown) => boolean;
  readonly fields: readonly Field[];
}

/**
 * Returns the fields of an object, each with a check of its own, so that one pass finds the one at
 * fault.
 */
function fieldsOf(schema: TSchema): Field[] {
  if (!('properties' in schema) || !isRecord(schema.properties)) return [];
  const required: unknown = 'required' in schema ? schema.required : [];
  return Object.entries(schema.properties)
    .filter((entry): entry is [string, TSchema] => isRecord(entry[1]))
    .map(([name, field]) => {
      const compiled = Compile(field);
      const isOptional = !Array.isArray(required) || !required.includes(name);
      return {
        name,
        description: 'description' in field ? String(field.description) : '',
        accepts: (value) => (value === undefined ? isOptional : compiled.Check(value)),
        fields: fieldsOf(field),
      };
    });
}

interface Fault {
  readonly param: string;
  readonly allowed: string;
  readonly received: unknown;
}

const UNKNOWN_FAULT: Fault = { param: 'body', allowed: 'as documented', received: {} };

function faultIn(fields: readonly Field[], value: Body, at: string): Fault | undefined {
  for (const { name, description, accepts, fields: inner } of fields) {
    const received = Object.hasOwn(value, name) ? value[name] : undefined;
    if (accepts(received)) continue;
    const param = at === '' ? name : `${at}.${name}`;
    const innermost = isRecord(received) ? faultIn(inner, received, param) : undefined;
    return innermost ?? { param, allowed: description, received };
  }
  return undefined;
}

function refusal({ param, allowed, received }: Fault): MeshError {
  const message =
    received === undefined
      ? `${param} is required: ${allowed}`
      : `${param} must be ${allowed}, got ${briefly(received)}`;
  return new MeshError('INVALID_REQUEST', message, { param });
}
