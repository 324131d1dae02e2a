import type { IncomingMessage } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MeshError } from '#mesh/errors.ts';
import { JsonBounds, type JsonLimits } from './json-bounds.ts';
import { type ReceiveLimits, receiveBody } from './receive-body.ts';

type JsonBodyLimits = JsonLimits & ReceiveLimits;

/** Makes the routes of `app` take JSON bodies within limits, and refuse others with a MeshError. */
export function acceptJson(app: FastifyInstance, limits: JsonBodyLimits): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', (_request: FastifyRequest, raw: IncomingMessage) =>
    receiveJson(raw, limits),
  );
}

/** Decodes the text as it comes, so that only parsing is left when the body has ended. */
async function receiveJson(raw: IncomingMessage, limits: JsonBodyLimits): Promise<unknown> {
  const bounds = new JsonBounds(limits);
  const decoder = new StringDecoder('utf8');
  let text = '';
  await receiveBody(raw, {
    limits,
    take: (block) => {
      bounds.push(block);
      text += decoder.write(block);
    },
  });
  return parseJson(text + decoder.end());
}

function parseJson(text: string): unknown {
  if (text === '') throw new MeshError('INVALID_REQUEST', 'the body is empty; send a JSON object');
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    throw new MeshError('INVALID_REQUEST', `the body is not valid JSON${placeOf(cause)}`, {
      cause,
    });
  }
}

/**
 * Returns the place at which parsing stopped; the parser's own message would repeat parts of the
 * body.
 */
function placeOf(cause: unknown): string {
  const place = cause instanceof Error ? /position \d+/.exec(cause.message) : null;
  return place === null ? '' : ` at ${place[0]}`;
}
