import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** The answers to requests whose clients wait to be asked for the body. */
const waiting = new WeakMap<IncomingMessage, ServerResponse>();

/**
 * Lets clients that send `Expect: 100-continue` wait until their body is wanted; a request that is
 * refused by its head then never sends one.
 */
export function deferContinue(
  server: Server,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.set(request, response);
    handle(request, response);
  });
}

/** Asks the client for its body if it waits for that. */
export function askForBody(request: IncomingMessage): void {
  const response = waiting.get(request);
  waiting.delete(request);
  if (response !== undefined && !response.headersSent) response.writeContinue();
}
