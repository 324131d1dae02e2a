import type { Route } from '#gateway/http/route.ts';
import { VERSION } from '#mesh/process/instance.ts';

/** Returns the route `GET /version`. */
export function versionRoute(): Route {
  return { method: 'GET', path: '/version', handle: async () => ({ version: VERSION }) };
}
