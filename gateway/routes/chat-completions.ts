import type { Route } from '#gateway/http/route.ts';
import { Answer } from '#gateway/openai/answer/answer.ts';
import { ChatChunks } from '#gateway/openai/answer/chat-chunks.ts';
import { chatResponse } from '#gateway/openai/answer/chat-response.ts';
import { createEnvelope } from '#gateway/openai/answer/envelope.ts';
import { CHAT_FIELDS, withForm } from '#gateway/openai/field-names.ts';
import { parseChatRequest } from '#gateway/openai/request/chat-request.ts';
import { answer } from './answer.ts';
import type { AnswerCall, AnswerSource } from './answer-call.ts';
import { gathered } from './answer-writer.ts';
import type { AnswerContext } from './route-context.ts';

/** Returns the route `POST /v1/chat/completions`. */
export function chatCompletionsRoute(context: AnswerContext): Route {
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    handle: (request, reply) =>
      answer(context, chatCall(request.body, context), { request, reply }),
  };
}

function chatCall(
  json: unknown,
  { usualReasoning }: Pick<AnswerContext, 'usualReasoning'>,
): AnswerCall {
  const { start, form, formField, echoText, ...request } = parseChatRequest(json, usualReasoning);
  const envelopeOf = ({ route: { name, model } }: AnswerSource) =>
    createEnvelope('chatcmpl', { name, fingerprint: model.fingerprint }, request.requestId);
  return {
    starts: [start],
    fields: withForm(CHAT_FIELDS, formField),
    promptRepeats: 1,
    takesRules: true,
    stream: (served) => new ChatChunks(envelopeOf(served), form, echoText),
    whole: (served) => {
      const envelope = envelopeOf(served);
      const chat = new Answer(form.numChoices);
      return gathered([chat], () => chatResponse(chat, { envelope, form, echoText }));
    },
    ...request,
  };
}
