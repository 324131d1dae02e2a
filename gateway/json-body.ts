import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MeshError } from '#mesh/errors.ts';

/** Deepest nesting of objects and lists in a body. */
const MAX_DEPTH = 32;

/** Parses JSON bodies with errors of our own and a bound on nesting. */
export function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = async (_request: FastifyRequest, text: string) => parseJson(text);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, parse);
}

export function parseJson(text: string): unknown {
  if (text === '') throw new MeshError('INVALID_REQUEST', 'the body is empty; send a JSON object');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause: unknown) {
    throw new MeshError('INVALID_REQUEST', `the body is not valid JSON${placeOf(cause)}`, {
      cause,
    });
  }
  if (!isWithinDepth(value, MAX_DEPTH)) {
    throw new MeshError('INVALID_REQUEST', `the body is nested deeper than ${MAX_DEPTH} levels`);
  }
  return value;
}

/** Where parsing stopped; the parser's own message would repeat parts of the body. */
function placeOf(cause: unknown): string {
  const place = cause instanceof Error ? /position \d+/.exec(cause.message) : null;
  return place === null ? '' : ` at ${place[0]}`;
}

/** Descends no deeper than the bound, so the stack does not grow with the input. */
function isWithinDepth(value: unknown, maxDepth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (maxDepth === 0) return false;
  return Object.values(value).every((inner) => isWithinDepth(inner, maxDepth - 1));
}
