import { messageErrorBody } from '#gateway/anthropic/error-body.ts';
import { eventFrame, MessageEvents, PING_FRAME } from '#gateway/anthropic/message-events.ts';
import { checkVersion, parseMessageRequest } from '#gateway/anthropic/message-request.ts';
import { messageResponse } from '#gateway/anthropic/message-response.ts';
import type { Route } from '#gateway/http/route.ts';
import { Answer } from '#gateway/openai/answer/answer.ts';
import { answer } from '#gateway/routes/answer.ts';
import type { AnswerCall, AnswerSource, Exchange } from '#gateway/routes/answer-call.ts';
import { gathered } from '#gateway/routes/answer-writer.ts';
import type { AnswerContext } from '#gateway/routes/route-context.ts';

/** Returns the route `POST /v1/messages`. */
export function messagesRoute(context: AnswerContext): Route {
  return {
    method: 'POST',
    path: '/v1/messages',
    handle: (request, reply) => {
      checkVersion(request.headers['anthropic-version']);
      reply.header('request-id', request.id);
      return answer(context, messageCall({ request, reply }), { request, reply });
    },
  };
}

function messageCall({ request: { body, id } }: Exchange): AnswerCall {
  const { start, form, ...request } = parseMessageRequest(body);
  const formOf = ({ route }: AnswerSource) => ({ model: route.name, reasoning: form.reasoning });
  return {
    starts: [start],
    takesRules: true,
    heartbeat: PING_FRAME,
    errorFrame: (failure) => eventFrame({ ...messageErrorBody(failure, id) }),
    stream: (served) => new MessageEvents(formOf(served)),
    whole: (served) => {
      const message = new Answer(1);
      return gathered([message], () => messageResponse(message, formOf(served)));
    },
    ...request,
  };
}
