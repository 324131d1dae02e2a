import { VERSION } from '#mesh/instance.ts';
import type { Route } from './route.ts';

/** `GET /version` */
export function versionRoute(): Route {
  return { method: 'GET', path: '/version', handle: async () => ({ version: VERSION }) };
}
