import { checkVersion, parseCountRequest } from '#gateway/anthropic/message-request.ts';
import type { Route } from '#gateway/http/route.ts';
import type { RouteContext } from '#gateway/routes/route-context.ts';
import { tokenize } from '#gateway/routes/tokenize.ts';

/** Returns the route `POST /v1/messages/count_tokens`. */
export function countTokensRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/v1/messages/count_tokens',
    handle: async (request, reply) => {
      checkVersion(request.headers['anthropic-version']);
      reply.header('request-id', request.id);
      const { start, ...call } = parseCountRequest(request.body);
      const form = start.prompt?.form;
      const { tokenIds } = await tokenize(
        context,
        { ...call, form, returnsTokenStrings: false },
        { request, reply },
      );
      return { input_tokens: tokenIds.length };
    },
  };
}
