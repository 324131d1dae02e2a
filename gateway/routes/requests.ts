import { Type } from 'typebox';
import type { Route } from '#gateway/http/route.ts';
import type { RequestHistory } from '#gateway/requests/request-history.ts';
import { viewOf } from '#gateway/requests/view-of.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { resolveOptions } from '#mesh/options.ts';
import type { RequestList } from '#mesh/trace/request-view.ts';

const querySchema = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  },
  { additionalProperties: false },
);

/** Returns the route `GET /v1/autoglm/requests`: the last requests, newest first. */
export function requestsRoute(history: RequestHistory): Route {
  return {
    method: 'GET',
    path: '/v1/autoglm/requests',
    handle: async ({ query }): Promise<RequestList> => ({
      object: 'list',
      data: history.find(queryOf(query)).map(viewOf),
    }),
  };
}

function queryOf(query: unknown) {
  const values = isRecord(query) ? query : {};
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'string') continue;
    throw new MeshError('INVALID_REQUEST', `${name}: give it once`, { param: name });
  }
  return resolveOptions(querySchema, values, {});
}
