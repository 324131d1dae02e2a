import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Route } from '#gateway/http/route.ts';
import { Answer } from '#gateway/openai/answer.ts';
import { ChatChunks } from '#gateway/openai/chat-chunks.ts';
import { type ChatRequest, parseChatRequest } from '#gateway/openai/chat-request.ts';
import { chatResponse } from '#gateway/openai/chat-response.ts';
import { createEnvelope } from '#gateway/openai/envelope.ts';
import { ScoreBound } from '#gateway/openai/score-bound.ts';
import { checkPrompt } from './check-prompt.ts';
import { generate } from './generate.ts';
import type { RouteContext } from './route-context.ts';
import { streamAnswer } from './stream-answer.ts';

/** `POST /v1/chat/completions` */
export function chatCompletionsRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    handle: (request, reply) =>
      answerChat(context, { call: parseChatRequest(request.body), request, reply }),
  };
}

interface ChatExchange {
  readonly call: ChatRequest;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

async function answerChat(context: RouteContext, { call, request, reply }: ChatExchange) {
  const { name, model } = context.router.resolve(call.model);
  checkPrompt(call.start.prompt, model);
  const media = context.intake.check(call.media, model);
  const envelope = createEnvelope('chatcmpl', { name, fingerprint: model.fingerprint });
  const flight = context.inFlight.admit(reply.raw);
  const { signal } = flight;
  const wish = { requestId: request.id, model: name, start: call.start, media, signal, reply };
  const limits = { output: call.start.output, promptRepeats: 1, isStream: call.isStream };
  const events = new ScoreBound(context.maxAnswerLogprobs).watch(generate(context, wish), limits);
  if (call.isStream) {
    const chunks = new ChatChunks(envelope, call.form, call.echoText);
    return await streamAnswer(context, { request, reply, flight }, async (send) => {
      for await (const event of events) {
        const frames = chunks.write(event);
        const wait = frames === '' ? undefined : send(frames);
        if (wait !== undefined) await wait;
      }
      return chunks.end();
    });
  }
  try {
    const answer = new Answer(call.form.numChoices);
    for await (const event of events) answer.add(event);
    return chatResponse(answer, { envelope, form: call.form, echoText: call.echoText });
  } finally {
    flight.end();
  }
}
