import type { Route } from '#gateway/http/route.ts';
import { Answer } from '#gateway/openai/answer/answer.ts';
import { completionResponse } from '#gateway/openai/answer/completion-response.ts';
import { CompletionStream } from '#gateway/openai/answer/completion-stream.ts';
import type { Echo } from '#gateway/openai/answer/echo.ts';
import { createEnvelope, type Envelope } from '#gateway/openai/answer/envelope.ts';
import { promptOnly } from '#gateway/openai/answer/prompt-only.ts';
import { COMPLETION_FIELDS, withForm } from '#gateway/openai/field-names.ts';
import {
  type CompletionRequest,
  parseCompletionRequest,
} from '#gateway/openai/request/completion-request.ts';
import type { Router } from '#gateway/routing/router.ts';
import { answer } from './answer.ts';
import type { AnswerCall, AnswerSource } from './answer-call.ts';
import { type AnswerWriter, gathered } from './answer-writer.ts';
import { type EchoWriter, withEchoes } from './echo.ts';
import type { RouteContext } from './route-context.ts';

/** Returns the route `POST /v1/completions`. */
export function completionsRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/v1/completions',
    handle: (request, reply) => {
      const call = completionCall(parseCompletionRequest(request.body), context.router);
      return answer(context, call, { request, reply });
    },
  };
}

function completionCall(request: CompletionRequest, router: Router): AnswerCall {
  const { model, requestId, unknownFields, isStream, starts, form, formField, echoes } = request;
  const prompts = starts.map(({ prompt }) => prompt);
  const hasLogprobs = form.numLogprobs !== undefined;
  const finish = <Last>(writer: EchoWriter<Last>, { route, signal }: AnswerSource) => {
    const source = { router, route, signal, prompts, hasLogprobs };
    const echoing = echoes ? withEchoes(writer, source) : writer;
    return request.isPromptOnly ? withoutCompletions(echoing) : echoing;
  };
  return {
    model,
    requestId,
    unknownFields,
    isStream,
    starts,
    media: { references: [], processorKwargs: undefined },
    fields: withForm(COMPLETION_FIELDS, formField),
    promptRepeats: form.numChoices * (echoes && form.hasPromptLogprobs ? 2 : 1),
    takesRules: true,
    stream: (served) => {
      const envelope = envelopeOf(request, served);
      return finish(new CompletionStream({ envelope, form, numPrompts: starts.length }), served);
    },
    whole: (served) => finish(wholeCompletion(request, served), served),
  };
}

function envelopeOf(
  { requestId }: CompletionRequest,
  { route: { name, model } }: AnswerSource,
): Envelope {
  return createEnvelope('cmpl', { name, fingerprint: model.fingerprint }, requestId);
}

function wholeCompletion(request: CompletionRequest, served: AnswerSource): EchoWriter<object> {
  const { form, starts } = request;
  const envelope = envelopeOf(request, served);
  const answers = starts.map(() => new Answer(form.numChoices));
  const echoes = new Map<number, Echo>();
  const body = () => {
    const prompts = answers.map((one, index) => ({ answer: one, echo: echoes.get(index) }));
    return completionResponse(prompts, { envelope, form });
  };
  return { ...gathered(answers, body), setEcho: (echo, index) => void echoes.set(index, echo) };
}

function withoutCompletions<Last>(writer: AnswerWriter<Last>): AnswerWriter<Last> {
  return {
    write: (event, index) => {
      const shown = promptOnly(event);
      return shown === undefined ? '' : writer.write(shown, index);
    },
    end: () => writer.end(),
  };
}
