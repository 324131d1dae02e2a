import type { Route } from '#gateway/http/route.ts';
import type { RouteContext } from './route-context.ts';

/** `GET /load`: requests being answered at this moment. */
export function loadRoute({ inFlight }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/load',
    handle: async () => ({ server_load: inFlight.count }),
  };
}
