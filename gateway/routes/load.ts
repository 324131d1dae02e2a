import type { Route } from '#gateway/http/route.ts';
import type { RouteContext } from './route-context.ts';

/** Returns the route `GET /load`: the number of requests that are being answered. */
export function loadRoute({ inFlight }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/load',
    handle: async () => ({ server_load: inFlight.count }),
  };
}
