import type { Route } from '#gateway/http/route.ts';
import { errorFrame, ResponseEvents } from '#gateway/responses/response-events.ts';
import { parseResponseRequest } from '#gateway/responses/response-request.ts';
import { ResponseWriter } from '#gateway/responses/response-writer.ts';
import { answer } from '#gateway/routes/answer.ts';
import type { AnswerCall } from '#gateway/routes/answer-call.ts';
import type { AnswerContext } from '#gateway/routes/route-context.ts';

/** Returns the route `POST /v1/responses`. */
export function responsesRoute(context: AnswerContext): Route {
  return {
    method: 'POST',
    path: '/v1/responses',
    handle: (request, reply) => answer(context, responseCall(request.body), { request, reply }),
  };
}

function responseCall(json: unknown): AnswerCall {
  const { start, form, ...request } = parseResponseRequest(json);
  let events: ResponseEvents | undefined;
  return {
    starts: [start],
    promptRepeats: 1,
    repeatsScores: true,
    takesRules: true,
    // A request that joined another by its key has no events of its own.
    errorFrame: (failure, { hasFrames }) =>
      hasFrames && events !== undefined ? events.fail(failure) : errorFrame(failure),
    stream: ({ route }) => {
      events = new ResponseEvents(form, route.name);
      return events;
    },
    whole: ({ route }) => {
      const writer = new ResponseWriter(form, route.name);
      return {
        write: (event) => {
          writer.write(event);
          return '';
        },
        end: () => writer.end().response,
      };
    },
    ...request,
  };
}
