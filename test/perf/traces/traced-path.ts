// What tracing touches of a request in the gateway and in the backbone, and nothing else: no HTTP, no
// model. One process measures it for `npm run bench -- traces`, with tracing off, on for a request
// that is not sampled and for one that is, by turns; its parent runs the collector and is sent the rounds.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { accessFields, requestFields } from '#gateway/http/request-fields.ts';
import { GenerationTrace } from '#gateway/requests/generation-trace.ts';
import { RequestHistory } from '#gateway/requests/request-history.ts';
import { RequestObserver } from '#gateway/requests/request-observer.ts';
import { GenerateCaller, type GenerateEvent } from '#gateway/routing/generate-call.ts';
import { startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { CallTrace } from '#mesh/trace/call-trace.ts';
import { openTracing } from '#mesh/trace/open-tracing.ts';
import { createSampler } from '#mesh/trace/sampler.ts';
import { endStage } from '#mesh/trace/stages.ts';
import type { Tracing } from '#mesh/trace/tracing.ts';
import {
  FinishReason,
  GenerateResponse,
  GenerateStart,
  GetModelResponse,
  LlmBackboneServiceDefinition,
  type LlmBackboneServiceImplementation,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** Requests of a block; blocks take turns. */
const NUM_REQUESTS = 400;
const AT_ONCE = 8;
/** Rounds until the code is compiled and optimized, and those that count. */
const NUM_WARM_ROUNDS = 10;
const NUM_ROUNDS = 60;
/** Spans of a request in both processes: its own, two stages; the call, four stages. */
const NUM_SPANS = 8;
const ROUTE = { name: 'phone-nano', model: GetModelResponse.create() };

/** CPU time of one request of each kind, microseconds. */
export type PathRound = Readonly<Record<Variant, number>>;

const VARIANTS = ['off', 'off once more', 'not sampled', 'sampled'] as const;
export type Variant = (typeof VARIANTS)[number];

const log = pino({ level: 'info' }, { write: () => true });
const registry = new MetricRegistry();
const history = () => new RequestHistory({ maxEnded: 1000, maxBytes: 64e6 });

async function main(collectorUrl: string): Promise<void> {
  const tracing = await openTracing(
    { otlpTracesEndpoint: collectorUrl },
    { role: 'gateway', registry, log },
  );
  assert(tracing !== undefined);
  const observer = (ratio: number, own: Tracing | undefined) =>
    new RequestObserver({
      history: history(),
      tracing: own,
      sampler: createSampler({ traceSampleRatio: ratio }, {}),
      slowMs: Number.POSITIVE_INFINITY,
    });
  const observers: Readonly<Record<Variant, RequestObserver>> = {
    off: observer(0, undefined),
    'off once more': observer(0, undefined),
    'not sampled': observer(0, tracing),
    sampled: observer(1, tracing),
  };
  const server = await startBackbone(tracing);
  const caller = new GenerateCaller(server.address);
  let numRounds = 0;
  const round = async (): Promise<PathRound> => {
    const costs = { off: 0, 'off once more': 0, 'not sampled': 0, sampled: 0 };
    for (const variant of turned(numRounds++)) {
      const begin = process.cpuUsage();
      await block(() => ask(observers[variant], caller, server.address));
      if (variant === 'sampled') await untilSent();
      // Each block pays for its own garbage.
      globalThis.gc?.({ type: 'minor' });
      const { user, system } = process.cpuUsage(begin);
      costs[variant] = (user + system) / NUM_REQUESTS;
    }
    return costs;
  };
  for (let i = 0; i < NUM_WARM_ROUNDS; i++) await round();
  const rounds: PathRound[] = [];
  for (let i = 0; i < NUM_ROUNDS; i++) rounds.push(await round());
  process.send?.(rounds);
  caller.close();
  await server.close(0);
  await tracing.close();
  process.disconnect();
}

/** Starts what a backbone does for the trace of a call, and answers at once. */
function startBackbone(tracing: Tracing) {
  const unused = () => assert.fail('this bench calls Generate alone');
  const service: LlmBackboneServiceImplementation = {
    async *generate(requests, { metadata }) {
      const call = new CallTrace('llm-backbone', metadata);
      for await (const _ of requests);
      for (const name of ['prompt', 'queue', 'prefill', 'decode']) {
        endStage(call.stages.begin({ name }));
      }
      yield GenerateResponse.fromPartial({
        event: {
          $case: 'finished',
          value: {
            choices: [{ index: 0, reason: FinishReason.FINISH_REASON_STOP }],
            numPromptTokens: 7,
            numCompletionTokens: 1,
            stages: call.stages.messages(),
          },
        },
      });
      call.end(tracing, {
        name: 'Generate',
        error: undefined,
        attributes: {
          'rpc.system': 'grpc',
          'rpc.service': LlmBackboneServiceDefinition.fullName,
          'rpc.method': LlmBackboneServiceDefinition.methods.generate.name,
          'gen_ai.request.model': ROUTE.name,
        },
      });
    },
    tokenize: unused,
    detokenize: unused,
    getModel: unused,
  };
  return startMeshServer({
    listen: '127.0.0.1:0',
    log,
    health: new Health([LlmBackboneServiceDefinition.fullName]),
    serviceNames: [LlmBackboneServiceDefinition.fullName],
    addServices: (server) => server.add(LlmBackboneServiceDefinition, service),
  });
}

/** Does what the gateway does for the trace of a request, from its arrival to its line in the log. */
async function ask(
  observer: RequestObserver,
  caller: GenerateCaller,
  address: string,
): Promise<void> {
  const raw = new IncomingMessage(new Socket());
  const id = randomUUID();
  const [method, route] = ['POST', '/v1/chat/completions'];
  const record = observer.begin({ raw, id, method, route, startMs: performance.now() });
  endStage(record.begin({ name: 'receive' }));
  record.model = ROUTE.name;
  const attempts = new GenerationTrace(record, ROUTE);
  const asked = attempts.asked({ address, cause: undefined });
  const upload = { start: GenerateStart.create(), media: [] };
  const { signal } = new AbortController();
  const take = (event: GenerateEvent): undefined => {
    record.tokenCame();
    assert(event.$case === 'finished');
    attempts.finished(event.value);
  };
  await caller.generate(upload, { signal, headers: asked.headers, take });
  asked.ended();
  observer.end(record, 200);
  log.info({ ...requestFields({ id, raw }), ...accessFields(record), status: 200 }, 'POST 200');
}

async function block(ask: () => Promise<void>): Promise<void> {
  let numLeft = NUM_REQUESTS;
  const askAll = async () => {
    while (numLeft-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askAll));
}

let numSent = 0;

/** Waits until the collector has every span of a block; none may be lost. */
async function untilSent(): Promise<void> {
  numSent += NUM_REQUESTS * NUM_SPANS;
  const count = (name: string) =>
    registry
      .collect()
      .find((family) => family.name === name)
      ?.samples.reduce((sum, { value }) => sum + value, 0) ?? 0;
  while (count('trace_spans_exported') < numSent) {
    assert.equal(count('trace_spans_dropped'), 0, 'spans were lost');
    await delay(5);
  }
  assert.equal(count('trace_spans_exported'), numSent);
}

/** Returns the order of a round: it turns, and is reversed from round to round. */
function turned(number: number): readonly Variant[] {
  const order = VARIANTS.map(
    (_, at) => VARIANTS[(at + (number >> 1)) % VARIANTS.length] ?? assert.fail(),
  );
  return number % 2 === 0 ? order : order.toReversed();
}

process.once('message', (collectorUrl) => void main(String(collectorUrl)));
