import type { RequestListener, ServerResponse } from 'node:http';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import { Pipelining } from '#mesh/http/pipelining.ts';
import type { AccessLog } from './access-log.ts';
import { bareError } from './errors-to-http.ts';

/** Most open requests of a connection; clients of HTTP/1.1 have one, measuring tools up to ten. */
const MAX_OPEN = 16;

/** Returns a listener that hands on as many requests of a connection as may be open at once. */
export function boundPipelining(
  handle: RequestListener,
  log: Pick<AccessLog, 'malformed'>,
): RequestListener {
  const pipelining = new Pipelining(MAX_OPEN);
  return (request, response) => {
    const standing = pipelining.enter(request, response);
    if (standing === 'answered') handle(request, response);
    else if (standing === 'refused') refuse(response, log);
  };
}

function refuse(response: ServerResponse, log: Pick<AccessLog, 'malformed'>): void {
  const message = `this connection has sent ${MAX_OPEN} requests whose answers it has not awaited; wait for them, or use several connections`;
  const refusal = new MeshError('QUEUE_FULL', message);
  const status = ERRORS[refusal.reason].http;
  log.malformed(refusal, status);
  const { headers, body } = bareError(refusal);
  response.writeHead(status, headers).end(body);
}
