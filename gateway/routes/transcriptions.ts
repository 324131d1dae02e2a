import { FormBody, notAForm } from '#gateway/http/body/form-body.ts';
import type { Route } from '#gateway/http/route.ts';
import { Answer } from '#gateway/openai/answer/answer.ts';
import { TranscriptionEvents } from '#gateway/openai/answer/transcription-events.ts';
import { transcriptionResponse } from '#gateway/openai/answer/transcription-response.ts';
import { TRANSCRIPTION_FIELDS } from '#gateway/openai/field-names.ts';
import { parseTranscriptionRequest } from '#gateway/openai/request/transcription-request.ts';
import { answer } from './answer.ts';
import type { AnswerCall } from './answer-call.ts';
import { gathered } from './answer-writer.ts';
import type { AnswerContext } from './route-context.ts';

/** Returns the route `POST /v1/audio/transcriptions`. */
export function transcriptionsRoute(context: AnswerContext): Route {
  return {
    method: 'POST',
    path: '/v1/audio/transcriptions',
    body: 'form',
    handle: (request, reply) =>
      answer(context, transcriptionCall(request.body), { request, reply }),
  };
}

function transcriptionCall(form: unknown): AnswerCall {
  if (!(form instanceof FormBody)) throw notAForm();
  const request = parseTranscriptionRequest(form);
  const { start, format, ...rest } = request;
  return {
    starts: [start],
    fields: TRANSCRIPTION_FIELDS,
    ...(format === 'text' ? { contentType: 'text/plain; charset=utf-8' } : {}),
    stream: () => new TranscriptionEvents(),
    whole: () => {
      const transcript = new Answer(1);
      return gathered([transcript], () => transcriptionResponse(transcript, request));
    },
    ...rest,
  };
}
