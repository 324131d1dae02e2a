import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { newSpanId, newTraceId } from '#mesh/trace/trace-context.ts';
import { within } from '#test/bounded.ts';
import { scraped } from '#test/e2e/counters.ts';
import { type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import { jsonPost, userMessage } from '#test/e2e/request/chat-request.ts';
import { uniqueImage } from '#test/e2e/request/unique-media.ts';
import { OtlpCollector, type ReceivedSpan } from '#test/otlp/otlp-collector.ts';
import { isEncodeCall, isRoot, portOf } from './received-spans.ts';

/** Items that come together, and how often: so many are needed to know how long one takes. */
const NUM_CROWD = 5;
const NUM_CROWDS = 4;
/** Items that come one by one, quickly: together with the others they pay for two hedges. */
const NUM_QUICK = 20;
/** Most items until one goes to the encoder that stands still: half of them do. */
const MAX_TRIES = 40;

interface Answered {
  readonly traceId: string;
  readonly id: string;
}

describe('traces of items that a second encoder is asked for', () => {
  let collector: OtlpCollector;
  let mesh: Mesh;

  before(async () => {
    collector = await OtlpCollector.start();
    mesh = await startMesh({
      numEncoders: { 'vision-encoder': 2, 'speech-encoder': 0 },
      backbone: ['encode-hedge: true'],
      // An encoder that stands still is neither given up nor killed.
      keys: [
        `otlp-traces-endpoint: ${collector.httpUrl}`,
        'progress-timeout-s: 600',
        'liveness-timeout-s: 600',
      ],
      env: { OTEL_BSP_SCHEDULE_DELAY: '50' },
    });
  });
  after(async () => {
    await mesh.stop();
    await collector.close();
  });

  /** Asks about new pictures in a sampled trace; resolves when the answer is whole. */
  async function ask(numImages: number): Promise<Answered> {
    const traceId = newTraceId();
    const images = await Promise.all(Array.from({ length: numImages }, uniqueImage));
    const post = jsonPost({ messages: userMessage(images), max_tokens: 1 });
    const headers = new Headers(post.headers);
    headers.set('traceparent', `00-${traceId}-${newSpanId()}-01`);
    const response = await fetch(`${mesh.url}/v1/chat/completions`, { ...post, headers });
    assert.equal(response.status, 200, await response.text());
    return { traceId, id: response.headers.get('x-request-id') ?? '' };
  }

  /** Tells whether a second encoder was asked in an answer; all metrics would wait for the one that stands still. */
  async function isHedged({ id }: Answered): Promise<boolean> {
    const answer = await fetch(`${mesh.url}/v1/autoglm/requests?id=${id}`);
    const stages = property(await answer.json(), 'data', 0, 'stages');
    assert(Array.isArray(stages));
    return stages.some((one: unknown) => property(one, 'cause') === 'hedge');
  }

  it('link the encoder that was asked beside to the one that stands still', async () => {
    // In a crowd each item takes long: what comes alone is then never late by itself.
    for (let i = 0; i < NUM_CROWDS; i++) await ask(NUM_CROWD);
    for (let i = 0; i < NUM_QUICK; i++) await ask(1);
    const [still, other] = await mesh.instances('vision-encoder');
    assert(still !== undefined && other !== undefined);
    const hedges = await scraped(mesh.url, 'autoglm:encode_hedges_total');
    assert.equal(hedges, 0, 'an item was late although both encoders are well');

    process.kill(still.pid, 'SIGSTOP');
    let traceId = '';
    const untilHedged = async () => {
      for (let i = 0; i < MAX_TRIES; i++) {
        const answered = await ask(1);
        traceId = answered.traceId;
        if (await isHedged(answered)) return;
      }
      assert.fail('no item met the encoder that stands still');
    };
    try {
      await within(untilHedged(), { what: 'an answer by way of the other encoder' });
    } finally {
      process.kill(still.pid, 'SIGCONT');
    }

    const ofTrace = (all: readonly ReceivedSpan[]) => all.filter((one) => one.traceId === traceId);
    /** The encoder's part of the hedge; the one that stood still may send a part of its own. */
    const answerIn = (spans: readonly ReceivedSpan[]) => {
      const hedge = spans.find(({ attributes }) => attributes['autoglm.cause'] === 'hedge');
      return spans.find(
        ({ service, parentSpanId }) =>
          service === 'vision-encoder' && parentSpanId === hedge?.spanId,
      );
    };
    const spans = ofTrace(
      await collector.until(
        (all) => ofTrace(all).some(isRoot) && answerIn(ofTrace(all)) !== undefined,
      ),
    );
    const [first, hedge, ...more] = spans.filter(isEncodeCall);
    assert(first !== undefined && hedge !== undefined);
    assert.deepEqual(more, []);
    assert.equal(first.attributes['server.port'], portOf(still));
    assert.equal(first.attributes['error.type'], 'CANCELLED');
    assert.equal(hedge.attributes['server.port'], portOf(other));
    assert.equal(hedge.attributes['autoglm.cause'], 'hedge');
    assert.deepEqual(hedge.linkedSpanIds, [first.spanId]);
    assert.equal(hedge.parentSpanId, first.parentSpanId);
    assert.equal(hedge.statusCode, 0);
    assert.equal(answerIn(spans)?.name, 'Encode');
  });
});
