import type { Route, RouteContext } from '#gateway/http/route.ts';

/** `GET /load`: requests being answered at this moment. */
export function loadRoute({ inFlight }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/load',
    handle: async () => ({ server_load: inFlight.count }),
  };
}
