import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { newSpanId, newTraceId } from '#mesh/trace/trace-context.ts';
import { within } from '#test/bounded.ts';
import { scraped } from '#test/e2e/counters.ts';
import { type Mesh, type MeshInstance, property, startMesh } from '#test/e2e/mesh.ts';
import { type Body, jsonPost, userMessage } from '#test/e2e/request/chat-request.ts';
import { uniqueImage } from '#test/e2e/request/unique-media.ts';
import { OtlpCollector, type ReceivedSpan } from '#test/otlp/otlp-collector.ts';
import { isEncodeCall, isGenerate, isRoot, portOf } from './received-spans.ts';

/** Silence after which calls are tried elsewhere, seconds: long enough that requests are under way. */
const PROGRESS_TIMEOUT_S = 5;
/** Most items of one request. */
const NUM_IMAGES = 10;

interface TracedAnswer {
  readonly response: Response;
  readonly traceId: string;
}

describe('traces of requests that meet lost processes', () => {
  let collector: OtlpCollector;
  let mesh: Mesh;

  before(async () => {
    collector = await OtlpCollector.start();
    mesh = await startMesh({
      numBackbones: 2,
      numEncoders: { 'vision-encoder': 2, 'speech-encoder': 0 },
      keys: [
        `otlp-traces-endpoint: ${collector.httpUrl}`,
        `progress-timeout-s: ${PROGRESS_TIMEOUT_S}`,
        // A stopped process goes on later.
        'liveness-timeout-s: 600',
      ],
      env: { OTEL_BSP_SCHEDULE_DELAY: '50' },
    });
  });
  after(async () => {
    await mesh.stop();
    await collector.close();
  });

  /** Asks in a sampled trace; resolves when the answer begins. */
  async function ask(body: Body): Promise<TracedAnswer> {
    const traceId = newTraceId();
    const post = jsonPost({ temperature: 0, ...body });
    const headers = new Headers(post.headers);
    headers.set('traceparent', `00-${traceId}-${newSpanId()}-01`);
    return {
      traceId,
      response: await fetch(`${mesh.url}/v1/chat/completions`, { ...post, headers }),
    };
  }

  /** Resolves with the spans of traces when the processes that count have sent theirs. */
  function spansOf(
    traceIds: readonly string[],
    isEnough: (spans: readonly ReceivedSpan[]) => boolean,
  ): Promise<ReceivedSpan[]> {
    const ofTraces = (all: readonly ReceivedSpan[]) =>
      all.filter(({ traceId }) => traceIds.includes(traceId));
    return collector.until((all) => isEnough(ofTraces(all))).then(ofTraces);
  }

  /** Stops one of two processes for the time of `work`. */
  async function whileStopped<Result>(
    { pid }: MeshInstance,
    work: () => Promise<Result>,
  ): Promise<Result> {
    process.kill(pid, 'SIGSTOP');
    try {
      return await work();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }

  /** Returns the address of the backbone that an answer comes from. */
  async function backboneOf(response: Response): Promise<string> {
    const id = response.headers.get('x-request-id') ?? '';
    const answer = await fetch(`${mesh.url}/v1/autoglm/requests?id=${id}`);
    return String(property(await answer.json(), 'data', 0, 'endpoint'));
  }

  async function untilBothReady(metric: string): Promise<void> {
    const look = async () => {
      while ((await scraped(mesh.url, metric)) < 2);
    };
    await within(look(), { what: `two of ${metric}` });
  }

  it('link the backbone that an answer went on at to the one that was killed', async () => {
    await untilBothReady('autoglm:gateway_backbone_ready');
    const instances = await mesh.instances('llm-backbone');
    const body = { messages: userMessage('Hi'), max_tokens: 1500, ignore_eos: true, stream: true };
    const { traceId, response } = await ask(body);
    assert(response.body !== null);

    let text = '';
    let lost: MeshInstance | undefined;
    for await (const bytes of response.body) {
      text += Buffer.from(bytes).toString();
      if (lost !== undefined || !text.includes('"content":"')) continue;
      const address = await backboneOf(response);
      lost = instances.find((one) => one.address === address);
      assert(lost !== undefined, address);
      process.kill(lost.pid, 'SIGKILL');
    }
    const other = instances.find((one) => one !== lost);
    assert(lost !== undefined && other !== undefined);

    assert.match(text, /data: \[DONE\]\s*$/);
    const spans = await spansOf([traceId], (all) => all.some(isRoot) && all.some(isGenerate));
    const [first, second, ...more] = spans.filter(({ name }) => name === 'chat phone-nano');
    assert(first !== undefined && second !== undefined);
    assert.equal(more.length, 0);
    assert.equal(first.attributes['server.port'], portOf(lost));
    assert.equal(first.attributes['error.type'], 'NO_READY_ENDPOINT');
    assert.equal(first.statusCode, 2);
    assert.equal(second.attributes['server.port'], portOf(other));
    assert.equal(second.attributes['autoglm.cause'], 'resume');
    assert.deepEqual(second.linkedSpanIds, [first.spanId]);
    assert.equal(second.statusCode, 0);
    // The one that was killed could send nothing.
    assert.deepEqual(
      spans.filter(isGenerate).map(({ parentSpanId }) => parentSpanId),
      [second.spanId],
    );
  });

  it('link the backbone that a request was sent to again to the one that stands still', async () => {
    await untilBothReady('autoglm:gateway_backbone_ready');
    const [still, other] = await mesh.instances('llm-backbone');
    assert(still !== undefined && other !== undefined);

    const answers = await whileStopped(still, async () => {
      // Work is spread, so that one of two goes to each.
      const asked = ['Hi', '你是谁?'].map((words) =>
        ask({ messages: userMessage(words), max_tokens: 8 }),
      );
      return await Promise.all(asked);
    });

    assert.deepEqual(
      answers.map(({ response }) => response.status),
      [200, 200],
    );
    const traceIds = answers.map(({ traceId }) => traceId);
    const spans = await spansOf(traceIds, (all) => all.filter(isRoot).length === 2);
    const retried = spans.filter(({ attributes }) => attributes['autoglm.cause'] === 'retry');
    assert(retried.length > 0, 'no request met the backbone that stands still');
    for (const retry of retried) {
      const first = spans.find(({ spanId }) => spanId === retry.linkedSpanIds[0]);
      assert.equal(first?.attributes['server.port'], portOf(still));
      assert.equal(first.attributes['error.type'], 'NO_READY_ENDPOINT');
      assert.equal(first.parentSpanId, retry.parentSpanId);
      assert.equal(retry.attributes['server.port'], portOf(other));
    }
  });

  it('link the encoder that has an item again to the one that stands still', async () => {
    const [still, other] = await mesh.instances('vision-encoder');
    assert(still !== undefined && other !== undefined);
    // An item goes to the encoder of its content: one of many meets each of two.
    const bodies = await Promise.all(
      [1, 2].map(async () => {
        const images = await Promise.all(Array.from({ length: NUM_IMAGES }, uniqueImage));
        return { messages: userMessage(images), max_tokens: 1 };
      }),
    );

    const answers = await whileStopped(still, () => Promise.all(bodies.map(ask)));

    assert.deepEqual(
      answers.map(({ response }) => response.status),
      [200, 200],
    );
    const traceIds = answers.map(({ traceId }) => traceId);
    const answersOf = (call: ReceivedSpan, spans: readonly ReceivedSpan[]) =>
      spans.filter(({ parentSpanId }) => parentSpanId === call.spanId);
    const isComplete = (spans: readonly ReceivedSpan[]) =>
      spans.filter(isRoot).length === 2 &&
      spans.filter(isGenerate).length === 2 &&
      spans
        .filter((one) => isEncodeCall(one) && one.statusCode === 0)
        .every((call) => answersOf(call, spans).length > 0);
    const spans = await spansOf(traceIds, isComplete);
    const calls = spans.filter(isEncodeCall);
    const retried = calls.filter(({ attributes }) => attributes['autoglm.cause'] === 'retry');
    assert(retried.length > 0, 'no item met the encoder that stands still');
    assert.equal(calls.length, 2 * NUM_IMAGES + retried.length);
    for (const retry of retried) {
      const first = calls.find(({ spanId }) => spanId === retry.linkedSpanIds[0]);
      assert.equal(first?.attributes['server.port'], portOf(still));
      assert.equal(first.attributes['error.type'], 'NO_READY_ENDPOINT');
      assert.equal(first.traceId, retry.traceId);
      assert.equal(retry.attributes['server.port'], portOf(other));
      const answered = answersOf(retry, spans).map(({ service, name }) => `${service} ${name}`);
      assert.deepEqual(answered, ['vision-encoder Encode']);
    }
  });
});
