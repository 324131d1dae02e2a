import assert from 'node:assert/strict';
import { scrape, sumOf } from '#test/e2e/counters.ts';
import { ExtraGateway } from '#test/e2e/edge/extra-gateway.ts';
import { startMesh } from '#test/e2e/mesh.ts';
import { type Body, postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { OtlpCollector } from '#test/otlp/otlp-collector.ts';
import type { Figure } from './figure.ts';

const ONE_TOKEN: Body = { messages: userMessage('Hi'), max_tokens: 1, temperature: 0 };

/** Blocks of requests to each gateway in turn, so that all meet the same trouble of the machine. */
const NUM_ROUNDS = 15;
const NUM_REQUESTS = 100;
const AT_ONCE = 8;

/** The processes that a request costs time. */
const ROLES = ['gateway', 'llm-backbone'] as const;
type Cost = Readonly<Record<(typeof ROLES)[number], number>>;

/**
 * Measures what tracing costs a one-token request in CPU time: off, 1 % and all requests sampled.
 * The collector runs beside them.
 */
export async function benchTraces(): Promise<Figure[]> {
  const collector = await OtlpCollector.start();
  const mesh = await startMesh({ keys: [`otlp-traces-endpoint: ${collector.httpUrl}`] });
  const gateways: ExtraGateway[] = [];
  const open = async (...flags: string[]) => {
    const gateway = await ExtraGateway.start(mesh.backboneAddress, flags);
    gateways.push(gateway);
    return gateway;
  };
  const traced = (ratio: number) =>
    open('--otlp-traces-endpoint', collector.httpUrl, '--trace-sample-ratio', String(ratio));
  try {
    const variants = [
      { name: 'off', gateway: await open() },
      { name: '1 % sampled', gateway: await traced(0.01) },
      { name: 'all sampled', gateway: await traced(1) },
    ];
    const costs = variants.map((): Cost[] => []);
    for (let round = -2; round < NUM_ROUNDS; round++) {
      for (const [at, { gateway }] of variants.entries()) {
        const cost = await costOf(gateway);
        if (round >= 0) costs[at]?.push(cost);
      }
    }
    const [off = []] = costs;
    return variants.flatMap(({ name }, at) => figuresOf(name, costs[at] ?? [], off));
  } finally {
    for (const gateway of gateways) gateway.kill();
    await mesh.stop();
    await collector.close();
  }
}

function figuresOf(name: string, costs: readonly Cost[], off: readonly Cost[]): Figure[] {
  const both = (cost: Cost | undefined) => (cost ? cost.gateway + cost['llm-backbone'] : 0);
  const added = costs.map((cost, round) => 100 * (both(cost) / both(off[round]) - 1));
  const own = ROLES.map((role) => ({
    name: `CPU time of a request, ${name}: ${role}`,
    value: median(costs.map((cost) => cost[role])),
    unit: 'µs',
  }));
  if (costs === off) return own;
  return [...own, { name: `added to both, ${name}`, value: median(added), unit: '%' }];
}

/** Returns the CPU time of one of a block of requests, microseconds. */
async function costOf({ address }: ExtraGateway): Promise<Cost> {
  const url = `http://${address}`;
  const before = await cpuOf(url);
  let numLeft = NUM_REQUESTS;
  const ask = async () => {
    while (numLeft-- > 0) {
      const { status } = await postChat(url, ONE_TOKEN);
      assert.equal(status, 200);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  const after = await cpuOf(url);
  const each = (role: (typeof ROLES)[number]) =>
    (1e6 * (after[role] - before[role])) / NUM_REQUESTS;
  return { gateway: each('gateway'), 'llm-backbone': each('llm-backbone') };
}

async function cpuOf(url: string): Promise<Cost> {
  const text = await scrape(url);
  const cpu = (role: string) =>
    sumOf(text, `process_cpu_seconds_total\\{[^}]*role="${role}"[^}]*\\}`);
  return { gateway: cpu('gateway'), 'llm-backbone': cpu('llm-backbone') };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
