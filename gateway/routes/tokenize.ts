import type { Route } from '#gateway/http/route.ts';
import { placeholderItem } from '#gateway/media/media-item.ts';
import { clientError } from '#gateway/openai/client-error.ts';
import { DETOKENIZE_FIELDS, TOKENIZE_FIELDS } from '#gateway/openai/field-names.ts';
import {
  parseDetokenizeRequest,
  parseTokenizeRequest,
} from '#gateway/openai/request/tokenize-request.ts';
import { checkPrompt } from './check-prompt.ts';
import type { RouteContext } from './route-context.ts';

/** Returns the route `POST /tokenize`. */
export function tokenizeRoute({ router, inFlight, intake }: RouteContext): Route {
  return {
    method: 'POST',
    path: '/tokenize',
    handle: async (request, reply) => {
      const call = parseTokenizeRequest(request.body);
      const route = router.resolve(call.model);
      const { name, model } = route;
      const { references } = intake.check(call.media, model);
      const media = references.map(placeholderItem);
      const prompt = { form: call.form, media, maxPromptTokens: undefined };
      const words = { fields: TOKENIZE_FIELDS, references };
      checkPrompt(prompt, { model, ...words });
      const flight = inFlight.admit(reply.raw);
      try {
        const answer = await router.call(
          route,
          ({ backbone }) => backbone.tokenize({ model: name, prompt }, { signal: flight.signal }),
          flight.signal,
        );
        return {
          count: answer.tokenIds.length,
          max_model_len: answer.maxModelLen,
          tokens: answer.tokenIds,
          token_strs: call.returnsTokenStrings ? answer.tokens : null,
        };
      } catch (error: unknown) {
        throw clientError(error, words);
      } finally {
        flight.end();
      }
    },
  };
}

/** Returns the route `POST /detokenize`. */
export function detokenizeRoute({ router, inFlight }: RouteContext): Route {
  return {
    method: 'POST',
    path: '/detokenize',
    handle: async (request, reply) => {
      const { model, tokenIds } = parseDetokenizeRequest(request.body);
      const route = router.resolve(model);
      const flight = inFlight.admit(reply.raw);
      try {
        const { text } = await router.call(
          route,
          ({ backbone }) =>
            backbone.detokenize({ model: route.name, tokenIds }, { signal: flight.signal }),
          flight.signal,
        );
        return { prompt: text };
      } catch (error: unknown) {
        throw clientError(error, { fields: DETOKENIZE_FIELDS, references: [] });
      } finally {
        flight.end();
      }
    },
  };
}
