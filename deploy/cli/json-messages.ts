import { createInterface } from 'node:readline';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { ProtoMethod } from './proto-methods.ts';

/**
 * Turns JSON texts into request messages of `method`; the text `-` stands for the lines of `stdin`,
 * each sent as it arrives. Without any text there is one empty message, unless the method takes a
 * stream.
 */
export async function* requestMessages(
  method: ProtoMethod,
  texts: readonly string[],
  stdin: NodeJS.ReadableStream,
): AsyncGenerator<object> {
  if (texts.length === 0 && !method.definition.requestStream) yield {};
  for (const text of texts) {
    if (text !== '-') {
      yield parseMessage(method, text);
      continue;
    }
    for await (const line of createInterface({ input: stdin })) {
      if (line.trim() !== '') yield parseMessage(method, line);
    }
  }
}

/** Parses one message; refuses fields that its type does not have. */
export function parseMessage({ definition }: ProtoMethod, text: string): object {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    throw new MeshError('INVALID_REQUEST', `not JSON: ${why}: ${text}`, { cause });
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new MeshError('INVALID_REQUEST', `a message is a JSON object, got ${text}`);
  }
  const lost = lostField(message, roundTrip(definition, message), '');
  if (lost === undefined) return message;
  const type = definition.path.slice(1);
  throw new MeshError('INVALID_REQUEST', `${type} has no field "${lost}" that takes this value`);
}

function roundTrip(definition: ProtoMethod['definition'], message: object): unknown {
  try {
    return definition.requestDeserialize(definition.requestSerialize(message));
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    throw new MeshError('INVALID_REQUEST', `the message does not fit: ${why}`, { cause });
  }
}

/**
 * Returns the path of the first field that did not survive encoding, because the encoder silently
 * drops unknown fields. Empty values may vanish, since the wire format omits them.
 */
function lostField(sent: unknown, kept: unknown, path: string): string | undefined {
  if (typeof sent !== 'object' || sent === null) {
    return Number.isNaN(kept) ? path : undefined;
  }
  const found: ReadonlyMap<string, unknown> = new Map(
    typeof kept === 'object' && kept !== null ? Object.entries(kept) : [],
  );
  for (const [key, value] of Object.entries(sent)) {
    const name = path === '' ? key : `${path}.${key}`;
    if (isEmpty(value)) continue;
    if (!found.has(key)) return name;
    const lost = lostField(value, found.get(key), name);
    if (lost !== undefined) return lost;
  }
  return undefined;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === null || value === '' || value === 0 || value === false || value === '0';
}
