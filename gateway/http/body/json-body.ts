import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MeshError } from '#mesh/errors.ts';
import { BodyBytes } from './body-bytes.ts';
import { JsonBounds, type JsonLimits } from './json-bounds.ts';
import type { JsonParser } from './json-parser.ts';
import { type ReceiveLimits, receiveBody } from './receive-body.ts';

export interface JsonReading extends JsonLimits {
  readonly receive: ReceiveLimits;
  readonly parser: JsonParser;
}

/** Makes the routes of `app` take JSON bodies within limits, and refuse others with a MeshError. */
export function acceptJson(app: FastifyInstance, reading: JsonReading): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', (_request: FastifyRequest, raw: IncomingMessage) =>
    receiveJson(raw, reading),
  );
}

async function receiveJson(
  raw: IncomingMessage,
  { receive, parser, ...limits }: JsonReading,
): Promise<unknown> {
  const bounds = new JsonBounds(limits);
  const bytes = new BodyBytes();
  await receiveBody(raw, {
    limits: receive,
    take: (block) => {
      bounds.push(block);
      bytes.push(block);
    },
  });
  const client = new AbortController();
  const onClose = () => client.abort(new MeshError('CANCELLED', 'the client has gone'));
  raw.socket.once('close', onClose);
  try {
    const { numValues } = bounds;
    return await parser.parse({ bytes, numValues, signal: client.signal });
  } finally {
    raw.socket.off('close', onClose);
  }
}
