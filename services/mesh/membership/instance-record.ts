import { type Static, Type } from 'typebox';
import Value from 'typebox/value';
import { MeshError } from '#mesh/errors.ts';
import { isAddress } from '#mesh/option-text.ts';

/** A kind of process that a registry lists. */
export type InstanceRole = 'gateway' | 'llm-backbone' | 'vision-encoder' | 'speech-encoder';

const recordSchema = Type.Object({
  address: Type.String({ maxLength: 300 }),
  /** Names of the models that requests may ask it for. */
  models: Type.Array(Type.String()),
  fingerprint: Type.String(),
  version: Type.String(),
  device: Type.String(),
  zone: Type.String(),
  weight: Type.Number({ exclusiveMinimum: 0 }),
});

/**
 * What a process says of itself in a registry, as JSON. Others may add fields. How much work it has
 * is none of them: that changes too often, and its watchers hear it from the process itself.
 */
export type InstanceRecord = Static<typeof recordSchema>;

/** Returns the beginning of the keys of a role's processes. */
export function rolePrefix(prefix: string, role: InstanceRole): string {
  return `${prefix}/instances/${role}/`;
}

/** Reads a value of a registry; throws if it is no record. */
export function parseRecord(text: string): InstanceRecord {
  const value: unknown = parseJson(text);
  if (!Value.Check(recordSchema, value)) {
    const [problem] = Value.Errors(recordSchema, value);
    throw broken(`${problem?.instancePath ?? ''} ${problem?.message ?? ''}`.trim());
  }
  if (!isAddress(value.address)) throw broken('/address must be host:port');
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw broken('it is not JSON');
  }
}

function broken(why: string): MeshError {
  return new MeshError('INVALID_REQUEST', why);
}
