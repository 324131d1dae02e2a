import type { FastifyReply } from 'fastify';
import type { Route } from '#gateway/http/route.ts';
import type { RouteContext } from './route-context.ts';

/**
 * Answers 200 if a backbone has generated a token and takes work, and the gateway takes work too.
 */
function answerHealth({ router, inFlight }: RouteContext, reply: FastifyReply) {
  const numReady = router.endpoints.filter((endpoint) => endpoint.isReady).length;
  const counts = { backbones_ready: numReady, backbones: router.endpoints.length };
  reply.header('cache-control', 'no-store');
  if (inFlight.isDraining) {
    return reply.code(503).send({ status: 'draining', reason: 'shutting down', ...counts });
  }
  if (numReady > 0) return reply.send({ status: 'ready', ...counts });
  const reason = 'no llm-backbone is ready';
  return reply.code(503).send({ status: 'not_ready', reason, ...counts });
}

/** Returns `GET /health`, and `/ping` by both methods that SageMaker's probes use. */
export function healthRoutes(context: RouteContext): Route[] {
  const handle: Route['handle'] = (_, reply) => answerHealth(context, reply);
  return [
    { method: 'GET', path: '/health', handle },
    { method: 'GET', path: '/ping', handle },
    { method: 'POST', path: '/ping', handle },
  ];
}
