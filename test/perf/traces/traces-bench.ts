import assert from 'node:assert/strict';
import { RequestRecord } from '#gateway/requests/request-record.ts';
import { endStage, Stages } from '#mesh/trace/stages.ts';
import { ExtraGateway } from '#test/e2e/edge/extra-gateway.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import { type Body, postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { OtlpCollector } from '#test/otlp/otlp-collector.ts';
import { type Figure, meanOf, medianOf, ratioOf } from '../figure.ts';
import { processCpuUs } from './process-cpu.ts';

const ONE_TOKEN: Body = { messages: userMessage('Hi'), max_tokens: 1, temperature: 0 };

/**
 * Requests of one block, through which a gateway collects its garbage a few times; blocks of all
 * gateways take turns, so that all meet the same machine.
 */
const NUM_REQUESTS = 100;
const AT_ONCE = 8;
/** Gateways are started anew so often: two processes of one program differ by a percent or two. */
const NUM_STARTS = 2;
/**
 * Most blocks, and most milliseconds, until a gateway's code is compiled and optimized. In its first thousands of requests a
 * process spends a good part of its time on that, and the more of it the more code it has loaded.
 */
const NUM_WARM_BLOCKS = 24;
const WARM_MS = 30_000;
/** Time for the rounds of one start, milliseconds, and the fewest of them. */
const ROUNDS_MS = 40_000;
const MIN_ROUNDS = 3;

/** The first is what the others are compared with; the second one says what a difference means. */
const VARIANTS = [
  { name: 'off', ratio: undefined },
  { name: 'off once more', ratio: undefined },
  { name: '1 % sampled', ratio: 0.01 },
  { name: 'all sampled', ratio: 1 },
] as const;

/** The processes that a request costs time. */
const ROLES = ['gateway', 'llm-backbone'] as const;
type Cost = Readonly<Record<(typeof ROLES)[number], number>>;

/** What a block of requests to each of the gateways cost, a request each. */
type Round = readonly Cost[];

/**
 * Measures what tracing costs a one-token request in CPU time: off, 1 % and all requests sampled.
 * The collector runs beside them.
 */
export async function benchTraces(): Promise<Figure[]> {
  const collector = await OtlpCollector.start();
  const mesh = await startMesh({ keys: [`otlp-traces-endpoint: ${collector.httpUrl}`] });
  const rounds: Round[] = [];
  try {
    for (let start = 0; start < NUM_STARTS; start++) {
      rounds.push(...(await roundsOf(mesh, collector.httpUrl)));
    }
  } finally {
    await mesh.stop();
    await collector.close();
  }
  return [...VARIANTS.flatMap((_, at) => figuresOf(at, rounds)), await stagesFigure()];
}

/** Measures rounds with gateways of their own. */
async function roundsOf(mesh: Mesh, collectorUrl: string): Promise<Round[]> {
  const [backbonePid] = await mesh.pids('llm-backbone');
  assert(backbonePid !== undefined);
  const gateways: ExtraGateway[] = [];
  try {
    for (const { ratio } of VARIANTS) {
      const flags =
        ratio === undefined
          ? []
          : ['--otlp-traces-endpoint', collectorUrl, '--trace-sample-ratio', String(ratio)];
      gateways.push(await ExtraGateway.start(mesh.backboneAddress, flags));
    }
    const measure = (number: number) => roundOf(gateways, backbonePid, number);
    const warmEndMs = performance.now() + WARM_MS;
    for (let block = 0; block < NUM_WARM_BLOCKS && performance.now() < warmEndMs; block++) {
      await Promise.all(gateways.map(askBlock));
    }
    const rounds: Round[] = [];
    const endMs = performance.now() + ROUNDS_MS;
    while (rounds.length < MIN_ROUNDS || performance.now() < endMs) {
      rounds.push(await measure(rounds.length));
    }
    return rounds;
  } finally {
    for (const gateway of gateways) gateway.kill();
  }
}

/** Measures each gateway once; the order turns and is reversed from round to round. */
async function roundOf(
  gateways: readonly ExtraGateway[],
  backbonePid: number,
  number: number,
): Promise<Round> {
  const turned = gateways.map((_, at) => (at + (number >> 1)) % gateways.length);
  const costs = new Map<number, Cost>();
  for (const at of number % 2 === 0 ? turned : turned.toReversed()) {
    const gateway = gateways[at];
    assert(gateway !== undefined);
    costs.set(at, await costOf(gateway, backbonePid));
  }
  return gateways.map((_, at) => costs.get(at) ?? assert.fail());
}

function figuresOf(at: number, rounds: readonly Round[]): Figure[] {
  const variant = VARIANTS[at]?.name ?? '';
  const costs = rounds.map((round) => round[at] ?? assert.fail());
  const own = ROLES.map((role) => ({
    name: `CPU of a request, ${variant}: ${role}`,
    ...meanOf(costs.map((cost) => cost[role])),
    unit: 'µs',
  }));
  if (at === 0) return own;
  const both = (cost: Cost | undefined) => (cost ? cost.gateway + cost['llm-backbone'] : 0);
  const { value, spread } = ratioOf(
    costs.map(both),
    rounds.map(([off]) => both(off)),
  );
  const added = (ratio: number) => 100 * (ratio - 1);
  const between = { low: added(spread.low), high: added(spread.high) };
  const name = `added to both, ${variant}`;
  return [...own, { name, value: added(value), spread: between, unit: '%' }];
}

/** Returns the CPU time of one of a block of requests, microseconds. */
async function costOf(gateway: ExtraGateway, backbonePid: number): Promise<Cost> {
  const cpu = () => Promise.all([gateway.pid, backbonePid].map(processCpuUs));
  const before = await cpu();
  await askBlock(gateway);
  const after = await cpu();
  const [own = 0, backbone = 0] = after.map((us, at) => (us - (before[at] ?? 0)) / NUM_REQUESTS);
  return { gateway: own, 'llm-backbone': backbone };
}

/** Sends a block of requests to a gateway. */
async function askBlock({ address }: ExtraGateway): Promise<void> {
  let numLeft = NUM_REQUESTS;
  const ask = async () => {
    while (numLeft-- > 0) {
      const { status } = await postChat(`http://${address}`, ONE_TOKEN);
      assert.equal(status, 200);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
}

/**
 * Measures what is done without tracing too, since the list of the last requests needs it: noting
 * the stages of a request in the backbone and in the gateway, and telling them to the gateway.
 */
async function stagesFigure(): Promise<Figure> {
  const numRequests = 20_000;
  const value = await medianOf(9, async () => {
    const begin = process.cpuUsage();
    for (let i = 0; i < numRequests; i++) noteStages();
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / numRequests;
  });
  return { name: 'noting stages, off too: both', value, unit: 'µs' };
}

function noteStages(): void {
  const startMs = performance.now();
  const backbone = new Stages('llm-backbone', startMs);
  for (const name of ['prompt', 'queue', 'prefill', 'decode']) endStage(backbone.begin({ name }));
  const begun = { id: 'r', method: 'POST', route: '/v1/chat/completions', startMs };
  const record = new RequestRecord({ ...begun, trace: undefined, parentSpanId: undefined });
  endStage(record.begin({ name: 'receive' }));
  const generate = record.begin({ name: 'generate', address: '127.0.0.1:8051' });
  record.stages.addTold(backbone.messages(), generate);
  endStage(generate);
}
