import { labelReply } from '#gateway/http/served-by.ts';
import { idempotencyKey } from '#gateway/idempotency/idempotency-key.ts';
import type { AnswerRun } from '#gateway/idempotency/kept-answers.ts';
import type { RequestedStart } from '#gateway/openai/request/requested-start.ts';
import { recordOf } from '#gateway/requests/request-record.ts';
import { jsonInTurns } from '#mesh/async/json-in-turns.ts';
import type { AnswerCall, AnswerSource, Exchange } from './answer-call.ts';
import type { AnswerWriter } from './answer-writer.ts';
import { answerOrDegrade } from './degraded-answer.ts';
import { keyedAnswer } from './keyed-answer.ts';
import type { AnswerContext } from './route-context.ts';
import { type SendFrames, streamAnswer } from './stream-answer.ts';
import { reportUnknownFields } from './unknown-fields.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Answers a request to generate, as a stream or as a whole; every route that generates uses it. */
export async function answer(
  context: AnswerContext,
  call: AnswerCall,
  exchange: Exchange,
): Promise<unknown> {
  const { request, reply } = exchange;
  nameRequest(call, exchange);
  const record = recordOf(request);
  if (record !== undefined) record.isStream = call.isStream;
  reportUnknownFields(call.unknownFields, context.log, exchange);
  const key = idempotencyKey(request.headers);
  const flight = context.inFlight.admit(reply.raw, context.clients.nameOf(request.raw));
  const hold = (numBytes: number) => context.memory.add(request.raw, numBytes);
  const generate = <Last>(
    run: AnswerRun,
    createWriter: (served: AnswerSource) => AnswerWriter<Last>,
  ) => answerOrDegrade(context, { call, exchange, run }, createWriter);
  const keyed = (send: SendFrames, start: (run: AnswerRun) => Promise<string>) =>
    keyedAnswer(
      context,
      { exchange, key: key ?? '', hold, signal: flight.signal },
      { send, start },
    );
  const own = (send: SendFrames): AnswerRun => {
    return { signal: flight.signal, send, hold, label: (name) => labelReply(reply, name) };
  };

  if (call.isStream) {
    return await streamAnswer(context, { request, reply, flight, call }, (send) =>
      key === undefined
        ? generate(own(send), call.stream)
        : keyed(send, (run) => generate(run, call.stream)),
    );
  }
  try {
    const isLong = call.starts.some(mayBeLong);
    const body =
      key === undefined
        ? await generate(own(sendNothing), call.whole)
        : await keyed(sendNothing, async (run) =>
            String(await written(await generate(run, call.whole), isLong)),
          );
    reply.type(call.contentType ?? JSON_TYPE);
    return isLong ? await written(body, isLong) : body;
  } finally {
    flight.end();
  }
}

/** Gives a request the name that its body has for it, unless a header has named it. */
function nameRequest({ requestId }: AnswerCall, { request, reply }: Exchange): void {
  if (requestId === undefined || request.headers['x-request-id'] === request.id) return;
  request.id = requestId;
  const record = recordOf(request);
  if (record !== undefined) record.id = requestId;
  reply.header('x-request-id', requestId);
}

/** Sends nothing, because a whole answer is returned and its writer has no frames. */
function sendNothing(): undefined {
  return undefined;
}

/** Tells whether an answer has scores or vectors, which may take most of a second to write. */
function mayBeLong({ output, embedding }: RequestedStart): boolean {
  const { numLogprobs, numPromptLogprobs } = output ?? {};
  return (numLogprobs ?? numPromptLogprobs ?? embedding) !== undefined;
}

/** Returns a whole answer as it is sent; a long one is written in turns with other work. */
async function written(body: string | object, isLong: boolean): Promise<string | Buffer> {
  if (typeof body === 'string') return body;
  return isLong ? await jsonInTurns(body) : JSON.stringify(body);
}
