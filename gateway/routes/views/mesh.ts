import type { Route } from '#gateway/http/route.ts';
import type { RouteContext } from '../route-context.ts';

/** Returns the route `GET /v1/autoglm/mesh`: every process that the gateway knows. */
export function meshRoute({ mesh }: Pick<RouteContext, 'mesh'>): Route {
  return {
    method: 'GET',
    path: '/v1/autoglm/mesh',
    handle: async (_, reply) => {
      reply.header('cache-control', 'no-store');
      return mesh.read();
    },
  };
}
