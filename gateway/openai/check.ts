import type { Static, TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { MeshError } from '#mesh/errors.ts';
import { type Body, briefly, isRecord } from './body.ts';

/**
 * Compiles a schema into a check. Every field's `description` says what is allowed; a refusal names
 * the innermost described field at fault, what is allowed there and what was received.
 */
export function compileCheck<S extends TObject>(schema: S): (body: Body) => Static<S> {
  const compiled = Compile(schema);
  return (body) => {
    const candidate: unknown = body;
    if (compiled.Check(candidate)) return candidate;
    const problem = compiled.Errors(candidate)[0];
    throw refusal(schema, body, problem === undefined ? [] : pathOf(problem));
  };
}

interface Problem {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: object;
}

/** Keys from the root to the value at fault; a missing property counts as the value. */
function pathOf(problem: Problem): string[] {
  const path = problem.instancePath.split('/').slice(1).map(unescapePointer);
  if (problem.keyword === 'required' && 'requiredProperties' in problem.params) {
    const missing: unknown = problem.params.requiredProperties;
    return [...path, String(Array.isArray(missing) ? missing[0] : missing)];
  }
  return path;
}

function unescapePointer(key: string): string {
  return key.replaceAll('~1', '/').replaceAll('~0', '~');
}

function refusal(schema: TSchema, body: unknown, path: readonly string[]): MeshError {
  let node: TSchema | undefined = schema;
  let value: unknown = body;
  let param = '';
  let fault = { param: 'body', allowed: 'as documented', value: body };
  for (const key of path) {
    node = childOf(node, key);
    if (node === undefined) break;
    value = isRecord(value) || Array.isArray(value) ? Reflect.get(value, key) : undefined;
    param = Array.isArray(value) || !/^\d+$/.test(key) ? joined(param, key) : `${param}[${key}]`;
    if ('description' in node) fault = { param, allowed: String(node.description), value };
  }
  const message =
    fault.value === undefined
      ? `${fault.param} is required: ${fault.allowed}`
      : `${fault.param} must be ${fault.allowed}, got ${briefly(fault.value)}`;
  return new MeshError('INVALID_REQUEST', message, { param: fault.param });
}

function joined(param: string, key: string): string {
  return param === '' ? key : `${param}.${key}`;
}

function childOf(node: TSchema, key: string): TSchema | undefined {
  if ('properties' in node && isRecord(node.properties)) return schemaAt(node.properties[key]);
  if ('items' in node) return schemaAt(node.items);
  return undefined;
}

function schemaAt(value: unknown): TSchema | undefined {
  return isRecord(value) ? value : undefined;
}
