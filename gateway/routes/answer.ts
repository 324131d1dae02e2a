import type { AnswerCall, Exchange } from './answer-call.ts';
import { checkPrompt } from './check-prompt.ts';
import { generateAll } from './generate.ts';
import type { AnswerContext } from './route-context.ts';
import { streamAnswer } from './stream-answer.ts';

/** Answers a request to generate, as a stream or as a whole; every route that generates uses it. */
export async function answer(
  context: AnswerContext,
  call: AnswerCall,
  { request, reply }: Exchange,
): Promise<unknown> {
  const route = context.router.resolve(call.model);
  const { model } = route;
  const { references } = call.media;
  for (const { prompt } of call.starts) {
    checkPrompt(prompt, { model, fields: call.fields, references });
  }
  const media = context.intake.check(call.media, model);
  const flight = context.inFlight.admit(reply.raw);
  const run = { call, route, media, signal: flight.signal, request, reply };
  if (call.isStream) {
    return await streamAnswer(context, { request, reply, flight }, (send) =>
      generateAll(context, run, { createWriter: call.stream, send }),
    );
  }
  try {
    const body = await generateAll(context, run, { createWriter: call.whole, send: sendNothing });
    if (call.contentType !== undefined) reply.type(call.contentType);
    return body;
  } finally {
    flight.end();
  }
}

/** Sends nothing, because a whole answer is returned and its writer has no frames. */
function sendNothing(): undefined {
  return undefined;
}
