import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { RequestView } from '#mesh/trace/request-view.ts';
import { Stage } from '#protos/autoglm/common/v1/stage.ts';
import { OtlpCollector, type ReceivedSpan } from '#test/otlp/otlp-collector.ts';
import { accepted, delta, FakeBackbone, finished, saying, stopped } from './fake-backbone.ts';
import { CHAT, errorOf, type Harness, jsonOf, startHarness } from './harness.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';

function post(harness: Harness, headers: Record<string, string> = {}, body: unknown = CHAT) {
  return harness.post('/v1/chat/completions', body, {
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** Returns the requests that a gateway shows. */
async function requestsOf(harness: Harness, query = ''): Promise<readonly RequestView[]> {
  const answer = await harness.get(`/v1/autoglm/requests${query}`);
  assert.equal(answer.status, 200);
  const { data } = await jsonOf(answer);
  assert(Array.isArray(data));
  return data;
}

/** Returns the spans of a trace, root first, once the root has come: all of one come together. */
async function spansOf(collector: OtlpCollector, id: string): Promise<readonly ReceivedSpan[]> {
  const isRoot = ({ attributes }: ReceivedSpan) => attributes['autoglm.request.id'] === id;
  const all = await collector.until((spans) => spans.some(isRoot));
  const root = all.find(isRoot);
  return all.filter(({ traceId }) => traceId === root?.traceId);
}

describe('The traces of a gateway', () => {
  let collector: OtlpCollector;
  let harness: Harness;
  before(async () => {
    collector = await OtlpCollector.start();
    process.env['OTEL_BSP_SCHEDULE_DELAY'] = '1';
    harness = await startHarness({
      otlpTracesEndpoint: collector.httpUrl,
      traceSampleRatio: 0,
      traceSlowS: 3600,
      backbones: [new FakeBackbone(), new FakeBackbone()],
    });
  });
  after(async () => {
    await harness.close();
    await collector.close();
    delete process.env['OTEL_BSP_SCHEDULE_DELAY'];
  });

  it('go on in that of a client which samples, through to the backbone', async () => {
    const traceparent = `00-${TRACE_ID}-${CLIENT_SPAN}-01`;
    await (await post(harness, { traceparent, 'x-request-id': 'sampled' })).text();

    const spans = await spansOf(collector, 'sampled');

    const [root, receive, chat] = spans;
    assert.deepEqual(
      spans.map(({ name }) => name),
      ['POST /v1/chat/completions', 'receive', 'chat phone-nano'],
    );
    assert.equal(root?.parentSpanId, CLIENT_SPAN);
    assert.equal(root?.kind, 2);
    assert.equal(receive?.parentSpanId, root?.spanId);
    const parents = harness.backbones.flatMap((one) => one.parents);
    assert.deepEqual(parents.at(-1), `00-${TRACE_ID}-${chat?.spanId}-01`);
    assert.equal(chat?.attributes['gen_ai.usage.output_tokens'], 2);
  });

  it('are not sent of a request that nobody samples and that goes well', async () => {
    await (await post(harness, { 'x-request-id': 'quiet' })).text();
    await (await post(harness, { 'x-request-id': 'refused' }, { messages: 'none' })).text();

    await spansOf(collector, 'refused');

    const ids = collector.spans.map(({ attributes }) => attributes['autoglm.request.id']);
    assert(!ids.includes('quiet'));
  });

  it('take a malformed traceparent for none and begin a trace of their own', async () => {
    const traceparent = `00-${TRACE_ID}-${'0'.repeat(16)}-01`;
    const body = { ...CHAT, n: 'many' };
    const answer = await post(harness, { traceparent, 'x-request-id': 'malformed' }, body);
    assert.equal(answer.status, 400);

    const [root] = await spansOf(collector, 'malformed');

    assert.notEqual(root?.traceId, TRACE_ID);
    assert.equal(root?.parentSpanId, '');
    assert.equal(root?.attributes['error.type'], 'INVALID_REQUEST');
  });

  it('are kept of a request that was sent twice, its second backbone linked to the first', async () => {
    let numFailures = 0;
    for (const backbone of harness.backbones) {
      backbone.script = async function* () {
        if (numFailures++ === 0) throw new MeshError('DRAINING', 'going');
        yield* saying('Hello');
      };
    }
    await (await post(harness, { 'x-request-id': 'retried' })).text();

    const [first, second] = (await spansOf(collector, 'retried')).filter(
      ({ name }) => name === 'chat phone-nano',
    );

    assert.equal(first?.statusCode, 2);
    assert.equal(first?.attributes['error.type'], 'DRAINING');
    assert.deepEqual(second?.linkedSpanIds, [first?.spanId]);
    assert.equal(second?.attributes['autoglm.cause'], 'retry');
    const [view] = await requestsOf(harness, '?id=retried');
    assert.equal(view?.num_retries, 1);
    assert.deepEqual(
      view?.stages.map(({ name, cause, follows, error }) => [name, cause, follows, error]),
      [
        ['receive', null, null, null],
        ['generate', null, null, 'DRAINING'],
        ['generate', 'retry', 1, null],
      ],
    );
  });

  it('are kept of an answer that went on elsewhere, with the stages that its backbone told', async () => {
    let numLosses = 0;
    const queue = Stage.fromPartial({ name: 'queue', role: 'llm-backbone', durationUs: 500n });
    for (const backbone of harness.backbones) {
      backbone.script = async function* () {
        yield accepted();
        yield delta({ text: 'Hel' });
        if (numLosses++ === 0) throw new MeshError('ENGINE_DEAD', 'dead');
        yield delta({ text: 'lo', finish: stopped() });
        yield finished({ stages: [queue] });
      };
    }
    await (await post(harness, { 'x-request-id': 'resumed' })).text();

    const spans = await spansOf(collector, 'resumed');

    const resumed = spans.find(({ attributes }) => attributes['autoglm.cause'] === 'resume');
    assert.equal(resumed?.linkedSpanIds.length, 1);
    const told = spans.find(({ name }) => name === 'queue');
    assert.equal(told?.parentSpanId, resumed?.spanId);
    assert.equal(told?.attributes['autoglm.process'], 'llm-backbone');
    assert.equal((await requestsOf(harness, '?id=resumed'))[0]?.num_resumes, 1);
  });
});

describe('GET /v1/autoglm/requests', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ apiKey: 'secret', requestHistory: 50 });
  });
  after(() => harness.close());
  const key = { authorization: 'Bearer secret' };
  const list = async (query = '') => {
    const answer = await harness.get(`/v1/autoglm/requests${query}`, { headers: key });
    const { data } = await jsonOf(answer);
    assert(Array.isArray(data));
    return data.filter(isRecord);
  };

  it('needs a key where others do', async () => {
    const answer = await harness.get('/v1/autoglm/requests');

    assert.equal(answer.status, 401);
    assert.equal((await errorOf(answer)).code, 'unauthenticated');
  });

  it('shows an answered request without what was said, and none without a key', async () => {
    await (
      await post(harness, { authorization: 'Bearer wrong', 'x-request-id': 'outside' })
    ).text();
    const said = { messages: [{ role: 'user', content: 'my secret plan' }] };
    await (await post(harness, { ...key, 'x-request-id': 'inside' }, said)).text();

    const shown = await list();

    assert.deepEqual(
      shown.map(({ id }) => id),
      ['inside'],
    );
    const { model, status, trace_id, input_tokens, output_tokens, finish_reasons } = shown[0] ?? {};
    assert.deepEqual(
      { model, status, trace_id, input_tokens, output_tokens, finish_reasons },
      {
        model: 'phone-nano',
        status: 200,
        trace_id: null,
        input_tokens: 7,
        output_tokens: 2,
        finish_reasons: ['stop'],
      },
    );
    assert(!JSON.stringify(shown).includes('plan'));
  });

  it('keeps no name of a model that there is not', async () => {
    for (let i = 0; i < 200; i++) {
      await (await post(harness, key, { ...CHAT, model: `invented-${i}` })).text();
    }

    const shown = await list('?limit=1000');

    assert.equal(shown.length, 50);
    assert(shown.every(({ model, error }) => model === null && error === 'MODEL_NOT_FOUND'));
    const metrics = await (await harness.get('/metrics', { headers: key })).text();
    assert(!metrics.includes('invented'));
  });

  it('passes the trace of a client on although none are sent', async () => {
    const traceparent = `00-${TRACE_ID}-${CLIENT_SPAN}-01`;
    await (await post(harness, { ...key, traceparent, 'x-request-id': 'passed' })).text();

    const [passed] = await list('?id=passed');

    assert.equal(passed?.['trace_id'], TRACE_ID);
    assert.match(String(harness.backbone.parents.at(-1)), new RegExp(`^00-${TRACE_ID}-.*-01$`));
  });

  for (const query of ['?limit=0', '?limit=1001', '?limit=many', '?id=a&id=b', '?page=2']) {
    it(`refuses ${query}`, async () => {
      const answer = await harness.get(`/v1/autoglm/requests${query}`, { headers: key });

      assert.equal(answer.status, 400);
    });
  }
});
