import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import { MeshError } from '#mesh/errors.ts';
import { OutputOptions } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  ACCEPTED,
  askOnce,
  deltaOf,
  eventOf,
  FINISHED,
  scriptOf,
  startOf,
  tracingWriter,
} from './answering.ts';

const EVENTS = [ACCEPTED, deltaOf('a'), deltaOf('b'), FINISHED] as const;

/** Fails with an error of the mesh after the given events. */
async function* failing(...events: readonly GenerateEvent[]): AsyncGenerator<GenerateEvent> {
  yield* events;
  const param = 'sampling.num_choices';
  throw new MeshError('INVALID_REQUEST', `${param}: got 0`, { param });
}

describe('answer', () => {
  it('streams what its writer makes of each event, and its end', async () => {
    const { response } = await askOnce({
      script: () => scriptOf(...EVENTS),
      call: { isStream: true },
    });

    assert.equal(response.statusCode, 200);
    assert.match(String(response.headers['content-type']), /^text\/event-stream/);
    assert.equal(response.body, 'accepted 0\ndelta 0\ndelta 0\nfinished 0\nend\n');
  });

  it('sends a whole answer once its writer has had every event', async () => {
    const seen: string[] = [];
    const { response } = await askOnce({
      script: () => scriptOf(...EVENTS),
      call: {
        contentType: 'text/plain; charset=utf-8',
        whole: () => ({
          write: ({ $case }) => {
            seen.push($case);
            return '';
          },
          end: () => seen.join(' '),
        }),
      },
    });

    assert.equal(response.body, 'accepted delta delta finished');
    assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
  });

  it('shares the event loop while it writes an answer with log-probabilities', async () => {
    let numTurns = 0;
    const turnsAt: number[] = [];
    const entry = {
      toJSON: () => {
        setImmediate(() => numTurns++);
        const endMs = performance.now() + 1;
        while (performance.now() < endMs);
        return turnsAt.push(numTurns);
      },
    };
    const { response } = await askOnce({
      script: () => scriptOf(...EVENTS),
      call: {
        starts: [{ ...startOf('a'), output: OutputOptions.create({ numLogprobs: 0 }) }],
        whole: () => ({ write: () => '', end: () => ({ content: Array(100).fill(entry) }) }),
      },
    });

    assert.equal(response.json<{ content: unknown[] }>().content.length, 100);
    assert.match(String(response.headers['content-type']), /^application\/json/);
    assert((turnsAt.at(-1) ?? 0) > 0, 'nothing else ran while the answer was written');
  });

  it('generates for each start, under an id and an index of its own', async () => {
    const { uploads, response } = await askOnce({
      script: () => scriptOf(ACCEPTED),
      call: { isStream: true, starts: [startOf('a'), startOf('b')] },
    });

    assert.deepEqual(
      uploads.map(({ start }) => [start.requestId, start.model]),
      [
        ['req-0', 'nano'],
        ['req-1', 'nano'],
      ],
    );
    assert.equal(response.body, 'accepted 0\naccepted 1\nend\n');
  });

  it('gives a sole generation the id of its request', async () => {
    const { uploads } = await askOnce({ script: () => scriptOf(FINISHED) });

    assert.deepEqual(
      uploads.map(({ start }) => start.requestId),
      ['req'],
    );
  });

  it('ends the other generations when one fails', async () => {
    const ended: unknown[] = [];
    const { response } = await askOnce({
      script: async function* ({ start }, signal) {
        if (start.requestId === 'req-1') yield* failing();
        if (!signal.aborted) await once(signal, 'abort');
        ended.push(start.requestId);
        signal.throwIfAborted();
      },
      call: { starts: [startOf('a'), startOf('b')] },
    });

    assert.equal(response.statusCode, 400);
    assert.deepEqual(ended, ['req-0']);
  });

  for (const isStream of [true, false]) {
    it(`names a refused field as the client wrote it (stream: ${isStream})`, async () => {
      const { response, inFlight } = await askOnce({ script: () => failing(), call: { isStream } });

      assert.equal(response.statusCode, 400);
      const { message, param } = response.json().error;
      assert.deepEqual([message, param], ['n: got 0', 'n']);
      assert.equal(inFlight.count, 0);
    });
  }

  it('says so within the stream once that is open', async () => {
    const { response, inFlight } = await askOnce({
      script: () => failing(ACCEPTED),
      call: { isStream: true },
    });

    assert.equal(response.statusCode, 200);
    assert.match(response.body, /^accepted 0\ndata: \{"error":\{"message":"n: got 0".*\n\n$/);
    assert.equal(inFlight.count, 0);
  });

  it('refuses a prompt that is too large before it is sent, in the words of the client', async () => {
    const limits = { maxMessages: 1, maxMessageParts: 1, maxTextBytes: 1, maxContextBytes: 1n };
    const { response, uploads } = await askOnce({
      script: () => scriptOf(FINISHED),
      model: { promptLimits: limits },
      call: { fields: new Map([['prompt.text', 'question']]) },
    });

    assert.equal(response.statusCode, 413);
    assert.equal(response.json().error.param, 'question');
    assert.match(response.json().error.message, /^question has 2 bytes/);
    assert.deepEqual(uploads, []);
  });

  it('holds a generation up until its writer has what it asks for', async () => {
    const trace: string[] = [];
    await askOnce({
      script: async function* () {
        yield ACCEPTED;
        trace.push('asked for more');
        yield FINISHED;
      },
      call: {
        isStream: true,
        stream: () => ({
          ...tracingWriter(),
          write: async ({ $case }) => {
            await Promise.resolve();
            trace.push($case);
            return '';
          },
        }),
      },
    });

    assert.deepEqual(trace, ['accepted', 'asked for more', 'finished']);
  });

  it('observes the first token of a generation once', async () => {
    const { metrics } = await askOnce({ script: () => scriptOf(...EVENTS) });

    const counts = metrics.timeToFirstToken.collect().filter(({ suffix }) => suffix === '_count');
    assert.deepEqual(
      counts.map(({ value }) => value),
      [1],
    );
  });

  for (const [reason, numCancelled] of [
    ['CANCELLED', 1],
    ['ENGINE_FAILED', 0],
  ] as const) {
    it(`counts ${numCancelled} requests as left after ${reason}`, async () => {
      const { metrics } = await askOnce({
        script: async function* () {
          yield ACCEPTED;
          throw new MeshError(reason, 'it ended');
        },
      });

      const [counted] = metrics.cancellations.collect();
      assert.equal(counted?.value ?? 0, numCancelled);
    });
  }

  it('refuses more log-probabilities than an answer may have, of all its prompts', async () => {
    const output = OutputOptions.fromPartial({ numPromptLogprobs: 1 });
    const start = { ...startOf('hi'), output };
    const accepted = eventOf({ $case: 'accepted', value: { numPromptTokens: 10 } });
    const ask = (maxAnswerLogprobs: number) =>
      askOnce({
        script: () => scriptOf(accepted, FINISHED),
        maxAnswerLogprobs,
        call: { starts: [start, start], promptRepeats: 3 },
      });

    assert.equal((await ask(120)).response.statusCode, 200);
    const { response } = await ask(119);
    assert.equal(response.statusCode, 400);
    assert.equal(response.json().error.param, 'logprobs');
  });
});
