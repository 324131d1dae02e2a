import type { FastifyReply, FastifyRequest } from 'fastify';
import { FormBody, notAForm } from '#gateway/http/body/form-body.ts';
import type { Route } from '#gateway/http/route.ts';
import { Answer } from '#gateway/openai/answer.ts';
import { TranscriptionEvents } from '#gateway/openai/transcription-events.ts';
import {
  parseTranscriptionRequest,
  type TranscriptionRequest,
} from '#gateway/openai/transcription-request.ts';
import { transcriptionResponse } from '#gateway/openai/transcription-response.ts';
import { checkPrompt } from './check-prompt.ts';
import { generate } from './generate.ts';
import type { RouteContext } from './route-context.ts';
import { streamAnswer } from './stream-answer.ts';

/** `POST /v1/audio/transcriptions` */
export function transcriptionsRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/v1/audio/transcriptions',
    body: 'form',
    handle: (request, reply) => {
      if (!(request.body instanceof FormBody)) throw notAForm();
      const call = parseTranscriptionRequest(request.body);
      return answerTranscription(context, { call, request, reply });
    },
  };
}

interface TranscriptionExchange {
  readonly call: TranscriptionRequest;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

async function answerTranscription(
  context: RouteContext,
  { call, request, reply }: TranscriptionExchange,
) {
  const { name, model } = context.router.resolve(call.model);
  checkPrompt(call.start.prompt, model);
  const media = context.intake.check(call.media, model);
  const flight = context.inFlight.admit(reply.raw);
  const { signal } = flight;
  const wish = { requestId: request.id, model: name, start: call.start, media, signal, reply };
  const events = generate(context, wish);
  if (call.isStream) {
    const frames = new TranscriptionEvents();
    return await streamAnswer(context, { request, reply, flight }, async (send) => {
      for await (const event of events) {
        const written = frames.write(event);
        const wait = written === '' ? undefined : send(written);
        if (wait !== undefined) await wait;
      }
      return frames.end();
    });
  }
  try {
    const answer = new Answer(1);
    for await (const event of events) answer.add(event);
    if (call.format === 'text') reply.type('text/plain; charset=utf-8');
    return transcriptionResponse(answer, call);
  } finally {
    flight.end();
  }
}
