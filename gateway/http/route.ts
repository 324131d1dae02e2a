import type { FastifyReply, FastifyRequest } from 'fastify';

/** One method and path of the API. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Kind of body the route takes; JSON if unset. */
  readonly body?: 'form';
  readonly handle: (request: FastifyRequest, reply: FastifyReply) => unknown;
}
