import type { FastifyReply } from 'fastify';
import type { Route } from '#gateway/http/route.ts';
import { awayModalities } from '#gateway/routing/away-modalities.ts';
import type { GatewayOverview } from '#mesh/overview/mesh-overview.ts';
import type { RouteContext } from './route-context.ts';

type HealthSources = Pick<RouteContext, 'router' | 'inFlight'>;

/** Tells how far the mesh can answer. */
export function healthState({ router, inFlight }: HealthSources): GatewayOverview['state'] {
  if (inFlight.isDraining) return 'draining';
  if (!router.endpoints.some((endpoint) => endpoint.isReady)) return 'not_ready';
  return awayModalities(router.endpoints).length > 0 ? 'degraded' : 'ready';
}

/**
 * Answers 200 if a backbone has generated a token and takes work, and the gateway takes work too. The
 * mesh is degraded while it can read text but not a kind of media that it has encoders for.
 */
function answerHealth(sources: HealthSources, reply: FastifyReply) {
  const { router } = sources;
  const numReady = router.endpoints.filter((endpoint) => endpoint.isReady).length;
  const counts = { backbones_ready: numReady, backbones: router.endpoints.length };
  reply.header('cache-control', 'no-store');
  const status = healthState(sources);
  switch (status) {
    case 'draining':
      return reply.code(503).send({ status, reason: 'shutting down', ...counts });
    case 'not_ready':
      return reply.code(503).send({ status, reason: 'no llm-backbone is ready', ...counts });
    case 'degraded':
      return reply.send({ status, ...counts, away: awayModalities(router.endpoints) });
    case 'ready':
      return reply.send({ status, ...counts });
  }
}

/**
 * Returns the probes: `GET /health` and `/readyz` say whether the mesh can generate, `/livez`
 * whether this process lives. `/ping` is `/health` by both methods that SageMaker uses.
 */
export function healthRoutes(context: RouteContext): Route[] {
  const handle: Route['handle'] = (_, reply) => answerHealth(context, reply);
  return [
    { method: 'GET', path: '/health', handle },
    { method: 'GET', path: '/readyz', handle },
    { method: 'GET', path: '/livez', handle: (_, reply) => answerLife(reply) },
    { method: 'GET', path: '/ping', handle },
    { method: 'POST', path: '/ping', handle },
  ];
}

function answerLife(reply: FastifyReply) {
  return reply.header('cache-control', 'no-store').send({ status: 'alive' });
}
