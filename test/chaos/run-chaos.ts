import { MeshError } from '#mesh/errors.ts';
import { hasEtcd, WITHOUT_ETCD } from '#test/contract/mesh/etcd/real-etcd.ts';
import {
  allFaultKinds,
  FAULT_MS,
  type FaultKind,
  type FaultSettings,
  GATEWAY_KILL,
} from './faults/fault-kind.ts';
import type { FaultRecord } from './faults/fault-record.ts';
import { makeTrouble } from './faults/trouble.ts';
import { runClients } from './load/clients.ts';
import type { Exchange } from './load/exchange.ts';
import { type Expectations, expectAnswers } from './load/expectations.ts';
import { REQUEST_CASES, type Sending } from './load/request-case.ts';
import { type JudgedExchange, judge } from './load/verdict.ts';
import { ChaosMesh } from './mesh/chaos-mesh.ts';
import { GatewayCounters } from './mesh/gateway-counters.ts';
import { NGINX } from './mesh/instance.ts';
import { requestIdAt } from './mesh/sightings.ts';
import { hasPassed, type Report, reportOn } from './report/report.ts';

export interface ChaosSettings {
  readonly seconds: number;
  readonly seed: number;
  readonly numClients: number;
  /** Time from one fault to the next, seconds. */
  readonly faultEveryS: number;
  readonly kinds: readonly FaultKind[];
  /** Gets lines of progress. */
  readonly say: (line: string) => void;
  /** When it aborts, the run ends early with a report on what was. */
  readonly signal: AbortSignal;
}

/** Returns the kinds of faults whose name holds one of the words; all if there are none. */
export function faultKinds(
  words: readonly string[],
  { hasRegistry = hasEtcd(), partitionMs = FAULT_MS }: Partial<FaultSettings> = {},
): readonly FaultKind[] {
  const kinds = allFaultKinds({ hasRegistry, partitionMs });
  const found = kinds.filter(
    ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  if (found.length > 0) return found;
  const known = kinds.map(({ name }) => name).join(', ');
  throw new MeshError(
    'INVALID_REQUEST',
    `no fault is called ${words.join(' or ')}; there are ${known}`,
  );
}

/** Runs a mesh under load and faults; resolves to what became of the requests. */
export async function runChaos(settings: ChaosSettings): Promise<Report> {
  const hasRegistry = hasEtcd();
  const how = hasRegistry
    ? 'its processes find each other in etcd'
    : `its addresses are fixed and nothing is done to a registry, since ${WITHOUT_ETCD}`;
  settings.say(`starting the mesh; ${how}`);
  const mesh = await ChaosMesh.start({ hasRegistry, signal: settings.signal });
  let report: Report | undefined;
  try {
    report = await new ChaosRun(mesh, settings).run();
  } finally {
    await mesh.close();
    if (report !== undefined && hasPassed(report)) await mesh.removeLogs();
    else settings.say(`logs of the processes: ${mesh.folder}`);
  }
  return report;
}

/** One run: the answers expected, then load and trouble together. */
class ChaosRun {
  readonly #mesh: ChaosMesh;
  readonly #settings: ChaosSettings;
  readonly #faults: FaultRecord[] = [];
  readonly #done: JudgedExchange[] = [];
  #numSent = 0;
  #numSkipped = 0;

  constructor(mesh: ChaosMesh, settings: ChaosSettings) {
    this.#mesh = mesh;
    this.#settings = settings;
  }

  async run(): Promise<Report> {
    const { seed, say, signal } = this.#settings;
    say(`asking ${REQUEST_CASES.length} distinct requests undisturbed`);
    const { url } = this.#mesh;
    const nextSending = () => this.#nextSending();
    const onExchange = (exchange: Exchange) => this.#noteGateway(exchange);
    const cases = REQUEST_CASES;
    const expected = await expectAnswers({ url, cases, nextSending, onExchange, signal });
    const counters = new GatewayCounters(this.#mesh.ofRole('gateway'));
    try {
      await this.#loadWithTrouble(expected);
    } finally {
      await counters.close();
    }
    return reportOn({
      seed,
      stories: this.#done.map((exchange) => ({
        exchange,
        sightings: this.#mesh.sightings.of(exchange.requestId),
      })),
      faults: this.#faults,
      numSkipped: this.#numSkipped,
      counts: counters.counts,
    });
  }

  async #loadWithTrouble(expected: Expectations): Promise<void> {
    const { seconds, seed, numClients, faultEveryS, kinds, say, signal } = this.#settings;
    say(`${numClients} clients for ${seconds} s, a fault every ${faultEveryS} s, seed ${seed}`);
    const troubleEnd = new AbortController();
    const timer = setTimeout(() => troubleEnd.abort(), seconds * 1000);
    const onInterruption = () => troubleEnd.abort();
    signal.addEventListener('abort', onInterruption);
    const loadEnd = new AbortController();
    const load = runClients({
      url: this.#mesh.url,
      cases: REQUEST_CASES,
      numClients,
      seed,
      until: loadEnd.signal,
      nextSending: () => this.#nextSending(),
      judge: (exchange) => judge(exchange, expected, this.#gatewayKills()),
      onDone: (exchange) => this.#onDone(exchange),
    });
    try {
      await makeTrouble({
        instances: this.#mesh.instances,
        kinds,
        seed,
        intervalMs: faultEveryS * 1000,
        until: troubleEnd.signal,
        onFault: (fault) => this.#onFault(fault),
        onRecovery: ({ kind, target, beganMs, endedMs }) =>
          say(`${target} is ready ${((endedMs - beganMs) / 1000).toFixed(1)} s after ${kind}`),
        onNobody: () => {
          this.#numSkipped += 1;
        },
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onInterruption);
      loadEnd.abort();
      await load;
    }
  }

  #gatewayKills() {
    return this.#faults
      .filter(({ kind }) => kind === GATEWAY_KILL)
      .map(({ address, beganMs }) => ({ address, atMs: beganMs }));
  }

  /** Each sending has a salt of its own: nothing of it is in a cache, so that encoders have work. */
  #nextSending(): Sending {
    this.#numSent += 1;
    const requestId = requestIdAt(this.#numSent);
    return { requestId, cacheSalt: `salt ${this.#numSent}` };
  }

  #onFault(fault: FaultRecord): void {
    this.#faults.push(fault);
    this.#settings.say(`${fault.kind} of ${fault.target}`);
  }

  #onDone(exchange: JudgedExchange): void {
    this.#noteGateway(exchange);
    this.#done.push(exchange);
    const { kind } = exchange.verdict;
    if (kind === 'failed' || kind === 'wrong') {
      this.#settings.say(
        `${exchange.requestId} "${exchange.caseName}" ${kind}: ${exchange.verdict.why}`,
      );
    }
  }

  #noteGateway({ gateway, failure }: Exchange): void {
    if (failure === undefined) this.#mesh.gatewayAt(gateway)?.noteUse(NGINX);
  }
}
