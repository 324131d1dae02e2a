import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MeshError } from '#mesh/errors.ts';
import { BodyBytes } from './body-bytes.ts';
import { JsonBounds, type JsonLimits } from './json-bounds.ts';
import type { JsonParser } from './json-parser.ts';
import { parseJson } from './parse-json.ts';
import { type ReceiveLimits, receiveBody } from './receive-body.ts';

/** Largest body that is parsed at once: it takes less time than to wait for a turn. */
const MAX_AT_ONCE_BYTES = 64 * 1024;

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

async function receiveJson(raw: IncomingMessage, reading: JsonReading): Promise<unknown> {
  const { receive, parser } = reading;
  const bounds = new JsonBounds(reading);
  const bytes = new BodyBytes();
  await receiveBody(raw, {
    limits: receive,
    take: (block) => {
      bounds.push(block);
      bytes.push(block);
    },
  });
  if (bytes.numBytes <= MAX_AT_ONCE_BYTES) return parseJson(bytes.joined());
  const { numValues } = bounds;
  return await whileConnected(raw, (signal) => parser.parse({ bytes, numValues, signal }));
}

/** Runs `work` with a signal that aborts when the client goes. */
async function whileConnected<Result>(
  raw: IncomingMessage,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const client = new AbortController();
  const onClose = () => client.abort(new MeshError('CANCELLED', 'the client has gone'));
  raw.socket.once('close', onClose);
  try {
    return await work(client.signal);
  } finally {
    raw.socket.off('close', onClose);
  }
}
