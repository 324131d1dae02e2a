import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';

/** The answers to requests whose clients wait to be asked for the body. */
const waiting = new WeakMap<IncomingMessage, ServerResponse>();

/**
 * Lets clients that send `Expect: 100-continue` wait until their body is wanted; a request that is
 * refused by its head then never sends one.
 */
export function deferContinue(server: Server, handle: RequestListener): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.set(request, response);
    handle(request, response);
  });
  server.on('checkExpectation', handle);
}

/** Throws EXPECTATION_FAILED for a request that expects anything else than to be asked for its body. */
export function checkExpectation({ headers: { expect } }: Pick<IncomingMessage, 'headers'>): void {
  if (expect === undefined || expect.toLowerCase() === '100-continue') return;
  const message = `"Expect: ${excerpt(expect)}" cannot be met, only "Expect: 100-continue"`;
  throw new MeshError('EXPECTATION_FAILED', message);
}

/** Asks the client for its body if it waits for that. */
export function askForBody(request: IncomingMessage): void {
  const response = waiting.get(request);
  waiting.delete(request);
  if (response !== undefined && !response.headersSent) response.writeContinue();
}
