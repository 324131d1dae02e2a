import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { AUTOGLM, type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import { jsonPost } from '#test/e2e/request/chat-request.ts';
import { chatRequest, readPhoneCases } from '#test/e2e/request/phone-cases.ts';
import { keptTrace, traceShapes } from '#test/otlp/kept-trace.ts';
import { OtlpCollector, type ReceivedSpan } from '#test/otlp/otlp-collector.ts';
import type { OtlpMessage } from '#test/otlp/otlp-messages.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const ID = 'screenshot-and-voice';

/** Names of spans by the process that sends them. */
const SPANS: Readonly<Record<string, readonly string[]>> = {
  gateway: ['POST /v1/chat/completions', 'receive', 'media fetch', 'chat phone-nano'],
  'llm-backbone': ['Generate', 'prompt', 'queue', 'prefill', 'decode', 'Encode', 'Encode'],
  'vision-encoder': ['Encode', 'upload', 'decode', 'preprocess', 'tower', 'rows'],
  'speech-encoder': ['Encode', 'upload', 'decode', 'preprocess', 'tower', 'rows'],
};

/** The trace as it is kept, for people to look at; written anew if the variable is set. */
const KEPT = join(PACKAGE_ROOT, 'test/testdata/traces/screenshot.json');
const IS_KEPT_ANEW = process.env['AUTOGLM_KEEP_TRACE'] !== undefined;

describe('a request with a screenshot and a recording, traced', () => {
  let collector: OtlpCollector;
  let mesh: Mesh;
  let spans: readonly ReceivedSpan[];
  const [question] = readPhoneCases('eval.json').filter(
    ({ group, correct }) => group === 'img_audio' && correct,
  );

  before(async () => {
    assert(question !== undefined);
    collector = await OtlpCollector.start();
    mesh = await startMesh({
      keys: [
        `otlp-traces-endpoint: ${collector.httpUrl}`,
        `otlp-metrics-endpoint: ${collector.urlOf('metrics')}`,
      ],
      env: { OTEL_BSP_SCHEDULE_DELAY: '50', OTEL_METRIC_EXPORT_INTERVAL: '500' },
    });
    const post = jsonPost(chatRequest(question));
    const headers = {
      ...Object.fromEntries(new Headers(post.headers)),
      traceparent: `00-${TRACE_ID}-${CLIENT_SPAN}-01`,
      tracestate: 'vendor=1',
      'x-request-id': ID,
    };
    const answer = await fetch(`${mesh.url}/v1/chat/completions`, { ...post, headers });
    assert.equal(answer.status, 200, await answer.text());
    spans = await collector.until((all) =>
      Object.entries(SPANS).every(([service, names]) =>
        names.every((name) => all.some((one) => one.service === service && one.name === name)),
      ),
    );
  });

  after(async () => {
    await mesh.stop();
    await collector.close();
  });

  it('is one trace of four processes, in which every span has its place', () => {
    for (const [service, names] of Object.entries(SPANS)) {
      const sent = spans.filter((one) => one.service === service).map(({ name }) => name);
      const missing = names.filter((name) => !sent.includes(name));
      assert.deepEqual(missing, [], `${service} sent ${sent.join(', ')}`);
    }
    const ids = new Set([CLIENT_SPAN, ...spans.map(({ spanId }) => spanId)]);
    assert.equal(ids.size, spans.length + 1);
    for (const { traceId, name, parentSpanId, traceState, numEvents } of spans) {
      assert.equal(traceId, TRACE_ID, name);
      assert(ids.has(parentSpanId), `${name} is part of the unknown ${parentSpanId}`);
      assert.equal(traceState, 'vendor=1', name);
      assert.equal(numEvents, 0, name);
    }
  });

  it('has the shape of the one that is kept', () => {
    if (IS_KEPT_ANEW) {
      mkdirSync(dirname(KEPT), { recursive: true });
      writeFileSync(KEPT, `${JSON.stringify(keptTrace(collector.requests), null, 1)}\n`);
    }
    const kept: OtlpMessage = JSON.parse(readFileSync(KEPT, 'utf8'));

    assert.deepEqual(traceShapes(collector.requests), traceShapes([kept]));
  });

  it('has the calls of one process as parents of the spans of the next', () => {
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const called = spans
      .filter(({ service, name }) => service !== 'gateway' && /^(Generate|Encode)$/.test(name))
      .filter(({ kind }) => kind === 2)
      .map(({ service, parentSpanId }) => [service, byId.get(parentSpanId)?.service]);

    assert.deepEqual(called.map(([service]) => service).sort(), [
      'llm-backbone',
      'speech-encoder',
      'vision-encoder',
    ]);
    for (const [service, caller] of called) {
      assert.equal(caller, service === 'llm-backbone' ? 'gateway' : 'llm-backbone');
    }
  });

  it('tells tokens and reasons in the words of the conventions, and nothing that was said', () => {
    const root = spans.find(({ name }) => name === 'POST /v1/chat/completions');
    assert(root !== undefined && question !== undefined);
    const { attributes } = root;
    assert.equal(attributes['gen_ai.operation.name'], 'chat');
    assert.equal(attributes['gen_ai.request.model'], 'phone-nano');
    assert.deepEqual(attributes['gen_ai.response.finish_reasons'], ['stop']);
    assert(Number(attributes['gen_ai.usage.input_tokens']) > 72);
    assert(Number(attributes['gen_ai.usage.output_tokens']) > 0);
    assert(Number(attributes['gen_ai.response.time_to_first_chunk']) > 0);
    assert.equal(attributes['http.response.status_code'], 200);
    const sent = JSON.stringify(collector.requests);
    assert(!sent.includes(question.reference), 'the answer is in the trace');
    for (const part of question.content) {
      if (part.type === 'text') assert(!sent.includes(part.text), 'the prompt is in the trace');
    }
  });

  it('is shown by GET /v1/autoglm/requests with the stages of all processes', async () => {
    const answer = await fetch(`${mesh.url}/v1/autoglm/requests?id=${ID}`);
    const body: unknown = await answer.json();

    assert.equal(answer.status, 200);
    const stages: unknown = property(body, 'data', 0, 'stages');
    assert(Array.isArray(stages));
    const seen = stages.map((one) => `${property(one, 'process')} ${property(one, 'name')}`);
    for (const [process, names] of [
      ['gateway', ['receive', 'media fetch', 'generate']],
      ['llm-backbone', ['queue', 'prefill', 'decode', 'encode']],
      ['vision-encoder', ['upload', 'tower']],
      ['speech-encoder', ['upload', 'tower']],
    ] as const) {
      for (const name of names) assert(seen.includes(`${process} ${name}`), seen.join(', '));
    }
    assert.equal(property(body, 'data', 0, 'trace_id'), TRACE_ID);
  });

  it('is counted in the metrics that each of the four processes sends', async () => {
    const counters = {
      gateway: 'autoglm.gateway_time_to_first_token_seconds',
      'llm-backbone': 'autoglm.generation_tokens',
      'vision-encoder': 'autoglm.encoder_rows',
      'speech-encoder': 'autoglm.encoder_rows',
    };
    await collector.untilMetrics((all) =>
      Object.entries(counters).every(([service, name]) =>
        all.some(
          (one) =>
            one.service === service &&
            one.name === name &&
            one.points.some(({ value }) => value > 0),
        ),
      ),
    );
  });

  it('is printed as a waterfall by "autoglm trace"', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      AUTOGLM,
      'trace',
      ID,
      '--config',
      mesh.config,
    ]);

    assert.match(stdout, new RegExp(`POST /v1/chat/completions 200 {2}${ID}`));
    assert.match(stdout, /\n {2}prefill +llm-backbone .*█/);
    assert.match(stdout, /\n {4}tower +vision-encoder .*█/);
  });

  it('has its line in the log of the gateway, with its trace', async () => {
    const line = await mesh.lines.match(/"msg":"POST \/v1\/chat\/completions 200"/);

    assert.match(line, new RegExp(`"request_id":"${ID}","trace_id":"${TRACE_ID}"`));
    assert.match(line, /"status":200,"elapsed_ms":[1-9]\d*/);
    assert.match(line, /"model":"phone-nano","endpoint":"127\.0\.0\.1:\d+","ttft_ms":\d+/);
  });
});
