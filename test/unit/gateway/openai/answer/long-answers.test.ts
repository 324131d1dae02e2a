import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CompletionStream } from '#gateway/openai/answer/completion-stream.ts';
import { createEnvelope } from '#gateway/openai/answer/envelope.ts';
import { parseCompletionRequest } from '#gateway/openai/request/completion-request.ts';
import { ResponseEvents } from '#gateway/responses/response-events.ts';
import { parseResponseRequest } from '#gateway/responses/response-request.ts';
import { eventOf } from '#test/unit/gateway/routes/answering.ts';
import { turnsDuring } from '#test/unit/turns-during.ts';

const NUM_TOKENS = 20_000;
/** Writing holds the event loop for much longer than five turns take. */
const MIN_TURNS = 5;

const candidate = { tokenId: 7, text: Buffer.from('é'), logprob: -1.25 };
const scores = Array.from({ length: NUM_TOKENS }, () => ({
  token: candidate,
  rank: 1,
  top: Array.from({ length: 20 }, () => candidate),
}));

describe('a stream that repeats many scores', () => {
  it('holds nobody up while it writes those of a prompt', async () => {
    const body = { prompt: 'a', echo: true, logprobs: 20, max_tokens: 1 };
    const { form } = parseCompletionRequest(body);
    const envelope = createEnvelope('cmpl', { name: 'nano', fingerprint: 'f' });
    const stream = new CompletionStream({ envelope, form, numPrompts: 1 });
    stream.setEcho({ text: 'a', firstToken: candidate }, 0);
    const event = eventOf({ $case: 'promptLogprobs', value: { tokens: scores } });
    let frames = '';

    const numTurns = await turnsDuring(async () => {
      frames = await stream.write(event, 0);
    });

    assert.equal(frames.match(/"é":-1.25/g)?.length, NUM_TOKENS);
    assert(numTurns > MIN_TURNS, `${numTurns} turns`);
  });

  it('holds nobody up while it writes the end of a response', async () => {
    const { form } = parseResponseRequest({ input: 'a', top_logprobs: 20 });
    const events = new ResponseEvents(form, 'nano');
    events.write(eventOf({ $case: 'accepted', value: {} }));
    events.write(
      eventOf({ $case: 'delta', value: { choices: [{ text: 'a', logprobs: scores }] } }),
    );
    events.write(eventOf({ $case: 'finished', value: { choices: [{ index: 0 }] } }));
    let frames = '';

    const numTurns = await turnsDuring(async () => {
      frames = await events.end();
    });

    assert.match(frames, /^event: response\.output_text\.done\n/);
    assert.match(frames, /"sequence_number":8,"response":\{.*\}\n\n$/);
    assert(numTurns > MIN_TURNS, `${numTurns} turns`);
  });
});
