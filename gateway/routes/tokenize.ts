import type { Route } from '#gateway/http/route.ts';
import { placeholderItem } from '#gateway/media/media-item.ts';
import { clientError } from '#gateway/openai/client-error.ts';
import {
  DETOKENIZE_FIELDS,
  type FieldNames,
  TOKENIZE_FIELDS,
} from '#gateway/openai/field-names.ts';
import {
  parseDetokenizeRequest,
  parseTokenizeRequest,
  type TokenizeCall,
} from '#gateway/openai/request/tokenize-request.ts';
import type { TokenizeResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import type { Exchange } from './answer-call.ts';
import { checkPrompt } from './check-prompt.ts';
import { type PlanCall, planPrompt } from './plan-prompt.ts';
import type { RouteContext } from './route-context.ts';
import { reportUnknownFields } from './unknown-fields.ts';

/** Returns the route `POST /tokenize`. A prompt with media has the tokens that a generation counts. */
export function tokenizeRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/tokenize',
    handle: async (request, reply) => {
      const call = parseTokenizeRequest(request.body);
      const answer = await tokenize(
        context,
        { ...call, fields: TOKENIZE_FIELDS },
        { request, reply },
      );
      return {
        count: answer.tokenIds.length,
        max_model_len: answer.maxModelLen,
        tokens: answer.tokenIds,
        token_strs: call.returnsTokenStrings ? answer.tokens : null,
      };
    },
  };
}

/** A prompt whose tokens are asked for. */
export interface TokenizedCall extends Omit<TokenizeCall, 'form'> {
  readonly form: Prompt['form'];
  readonly fields: FieldNames;
}

/** Returns the tokens of a prompt, a token for each row of its media included. */
export async function tokenize(
  context: RouteContext,
  call: TokenizedCall,
  { request, reply }: Exchange,
): Promise<TokenizeResponse> {
  const { router, inFlight, intake, clients, memory, log } = context;
  reportUnknownFields(call.unknownFields, log, { request, reply });
  const route = router.resolve(call.model);
  const { name, model } = route;
  const media = intake.check(call.media, model);
  const { references } = media;
  const items = references.map(placeholderItem);
  const written = { form: call.form, media: items, maxPromptTokens: undefined };
  const words = { fields: call.fields, references };
  checkPrompt(written, { model, ...words });
  const flight = inFlight.admit(reply.raw, clients.nameOf(request.raw));
  const { signal } = flight;
  try {
    const prompt =
      references.length === 0
        ? written
        : await plannedPrompt(context, {
            form: call.form,
            media,
            route,
            requestId: request.id,
            clientId: clients.nameOf(request.raw),
            hold: (numBytes) => memory.add(request.raw, numBytes),
            signal,
          });
    return await router.call(
      route,
      ({ backbone }, attempt) =>
        backbone.tokenize(
          { model: name, prompt, returnTokenStrings: call.returnsTokenStrings },
          { signal: attempt },
        ),
      signal,
    );
  } catch (error: unknown) {
    throw clientError(error, words);
  } finally {
    flight.end();
  }
}

/** Returns the prompt of token ids that a prompt with media becomes. */
async function plannedPrompt(context: RouteContext, call: PlanCall): Promise<Prompt> {
  const tokenIds = await planPrompt(context, call);
  return { form: { $case: 'tokens', value: { tokenIds } }, media: [], maxPromptTokens: undefined };
}

/** Returns the route `POST /detokenize`. */
export function detokenizeRoute({ router, inFlight, clients, log }: RouteContext): Route {
  return {
    method: 'POST',
    path: '/detokenize',
    handle: async (request, reply) => {
      const { model, tokenIds, unknownFields } = parseDetokenizeRequest(request.body);
      reportUnknownFields(unknownFields, log, { request, reply });
      const route = router.resolve(model);
      const flight = inFlight.admit(reply.raw, clients.nameOf(request.raw));
      try {
        const { text } = await router.call(
          route,
          ({ backbone }, signal) =>
            backbone.detokenize({ model: route.name, tokenIds }, { signal }),
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
