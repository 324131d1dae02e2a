import type { AnswerRun } from '#gateway/idempotency/kept-answers.ts';
import { recordOf } from '#gateway/requests/request-record.ts';
import type { AnswerCall, AnswerSource, Exchange } from './answer-call.ts';
import type { AnswerWriter } from './answer-writer.ts';
import { checkPrompt } from './check-prompt.ts';
import { generateAll } from './generate.ts';
import type { AnswerContext } from './route-context.ts';

/** A request to generate that has been admitted. */
export interface AnswerRequest {
  readonly call: AnswerCall;
  readonly exchange: Exchange;
  readonly run: AnswerRun;
}

/** Generates an answer with the model that the request names, within that model's limits. */
export async function generateAnswer<Last>(
  context: AnswerContext,
  { call, exchange, run }: AnswerRequest,
  createWriter: (served: AnswerSource) => AnswerWriter<Last>,
): Promise<Last> {
  const route = context.router.resolve(call.model);
  const { model } = route;
  const record = recordOf(exchange.request);
  if (record !== undefined) record.model = route.name;
  const { references } = call.media;
  for (const { prompt } of call.starts) {
    checkPrompt(prompt, { model, fields: call.fields, references });
  }
  const media = context.intake.check(call.media, model);
  const { signal, hold, send, label } = run;
  const admitted = { call, route, media, signal, hold, label, ...exchange };
  return await generateAll(context, admitted, { createWriter, send });
}
